/*
 * config/domain: reads what is said of single domains: their other names, and who serves
 * them.
 *
 * Main thread only, but for the questions, which any thread may ask.
 */
#include "config/reader.h"

#include <stdlib.h>

/* Reads "LEFT=RIGHT", with or without blanks. False: there is no '='. */
static bool read_pair(const char *text, struct span *left, struct span *right)
{
    const char *equals = strchr(text, '=');

    if (!equals)
        return false;
    *left = span_trim(span_between(text, equals));
    *right = span_trim(span_of(equals + 1));
    return true;
}

/* Is this one of our domains by its own name? */
static bool is_domain(const struct config *c, const char *name)
{
    for (unsigned i = 0; i < c->domain_count; i++)
        if (strcmp(name, c->domains[i]) == 0)
            return true;
    return c->domain_count == 0;
}

/* ---- other names ---------------------------------------------------------------- */

/* Reads "NAME=DOMAIN". */
static void alias_add(struct reader *r, const config_setting_t *at, const char *text)
{
    struct config *c = r->config;
    struct span name, domain;

    if (!read_pair(text, &name, &domain) || !reader_domain_valid(name) ||
        !reader_domain_valid(domain)) {
        reader_mistake(r, at,
                       "domain-alias \"%s\" is not of the form NAME=DOMAIN; write for example "
                       "\"pbx.example.com=example.com\"",
                       text);
        return;
    }
    for (unsigned i = 0; i < c->alias_count; i++)
        if (span_ieq(name, span_of(c->alias[i].name))) {
            reader_mistake(r, at, "the alias \"%s\" stands here twice; remove one",
                           c->alias[i].name);
            return;
        }
    struct config_alias alias = {reader_lower_copy(r, name), reader_lower_copy(r, domain)};
    if (alias.name && alias.domain) {
        c->alias[c->alias_count++] = alias;
        return;
    }
    free(alias.name);
    free(alias.domain);
}

void reader_aliases(struct reader *r, config_setting_t *s)
{
    struct list_walk walk = {
        r, s, "domain-alias", "[ \"pbx.example.com=example.com\" ]", CONFIG_ALIASES_MAX, 0};
    const config_setting_t *element;
    const char *text;

    if (!reader_list_begin(&walk))
        return;
    while ((text = reader_list_next(&walk, &element)))
        alias_add(r, element, text);
}

void reader_check_aliases(struct reader *r)
{
    const struct config *c = r->config;
    const config_setting_t *at = config_setting_get_member(r->root, "domain-alias");

    for (unsigned i = 0; i < c->alias_count; i++) {
        const struct config_alias *alias = &c->alias[i];

        if (!is_domain(c, alias->domain))
            reader_mistake(r, at, "domain-alias: \"%s\" is none of domains; add it there",
                           alias->domain);
        if (c->domain_count && is_domain(c, alias->name))
            reader_mistake(r, at,
                           "domain-alias: \"%s\" is a domain itself; remove it from one of both",
                           alias->name);
        for (unsigned j = 0; j < c->alias_count; j++)
            if (strcmp(alias->domain, c->alias[j].name) == 0)
                reader_mistake(r, at,
                               "domain-alias: \"%s\" is an alias itself; write the domain that "
                               "it stands for",
                               alias->domain);
    }
    if (c->alias_count && c->force_domain)
        reader_mistake(r, at,
                       "domain-alias says nothing beside force-domain, which makes every domain "
                       "one; remove one of both");
    if (c->force_domain && !is_domain(c, c->force_domain))
        reader_mistake(r, config_setting_get_member(r->root, "force-domain"),
                       "force-domain \"%s\" is none of domains; add it there", c->force_domain);
}

/* ---- who serves them -------------------------------------------------------------- */

static bool policy_of_name(struct span name, enum config_policy *out)
{
    for (const struct option_choice *c = config_policies; c->name; c++)
        if (span_eq(name, span_of(c->name))) {
            *out = (enum config_policy)c->value;
            return true;
        }
    return false;
}

/* Reads "DOMAIN=POLICY". */
static void policy_add(struct reader *r, const config_setting_t *at, const char *text)
{
    struct config *c = r->config;
    struct config_domain_policy *one = &c->domain_policy[c->domain_policy_count];
    struct span domain, name;

    if (!read_pair(text, &domain, &name) || !reader_domain_valid(domain) ||
        !policy_of_name(name, &one->policy)) {
        reader_mistake(r, at,
                       "domain-policy \"%s\" is not of the form DOMAIN=POLICY with hash, failover "
                       "or all; write for example \"example.com=failover\"",
                       text);
        return;
    }
    for (unsigned i = 0; i < c->domain_policy_count; i++)
        if (span_ieq(domain, span_of(c->domain_policy[i].domain))) {
            reader_mistake(r, at, "the domain \"%s\" stands here twice; remove one",
                           c->domain_policy[i].domain);
            return;
        }
    one->domain = reader_lower_copy(r, domain);
    c->domain_policy_count += one->domain != NULL;
}

void reader_domain_policies(struct reader *r, config_setting_t *s)
{
    struct list_walk walk = {
        r, s, "domain-policy", "[ \"example.com=failover\" ]", CONFIG_DOMAINS_MAX, 0};
    const config_setting_t *element;
    const char *text;

    if (!reader_list_begin(&walk))
        return;
    while ((text = reader_list_next(&walk, &element)))
        policy_add(r, element, text);
}

static void check_domain_policies(struct reader *r, const config_setting_t *at)
{
    const struct config *c = r->config;

    for (unsigned i = 0; i < c->domain_policy_count; i++) {
        const char *domain = c->domain_policy[i].domain;
        struct span meant = config_domain(c, span_of(domain));

        if (!span_eq(meant, span_of(domain)))
            reader_mistake(r, at,
                           "domain-policy: who registers at \"%s\" belongs to \"%.*s\"; write "
                           "that one",
                           domain, (int)meant.n, meant.p);
        else if (!is_domain(c, domain))
            reader_mistake(r, at, "domain-policy: \"%s\" is none of domains; add it there", domain);
    }
}

/* Nobody but midreg itself could register a phone at those that it did not go to. */
void reader_check_policies(struct reader *r)
{
    const struct config *c = r->config;
    const config_setting_t *at = config_setting_get_member(r->root, "domain-policy");

    check_domain_policies(r, at);
    if (!config_may_policy(c, POLICY_ALL))
        return;
    for (unsigned i = 0; i < c->upstream_count; i++)
        if (c->upstream[i].means == CONFIG_MEANS_NONE)
            reader_mistake(
                r, c->policy == POLICY_ALL ? config_setting_get_member(r->root, "policy") : at,
                "policy = \"all\" registers each identity at all main registrars, which midreg "
                "cannot do at upstream %s with means = \"none\": have it trust midreg's address "
                "(means = \"acl\"), or use \"hash\" or \"failover\"",
                c->upstream[i].name);
}

/* ---- questions -------------------------------------------------------------------- */

static const struct config_alias *find_alias(const struct config *c, struct span host)
{
    for (unsigned i = 0; i < c->alias_count; i++)
        if (span_ieq(host, span_of(c->alias[i].name)))
            return &c->alias[i];
    return NULL;
}

struct span config_domain(const struct config *c, struct span host)
{
    const struct config_alias *alias;

    if (c->force_domain)
        return span_of(c->force_domain);
    alias = find_alias(c, host);
    return alias ? span_of(alias->domain) : host;
}

bool config_serves(const struct config *c, struct span host)
{
    if (c->domain_count == 0 || find_alias(c, host))
        return true;
    for (unsigned i = 0; i < c->domain_count; i++)
        if (span_ieq(host, span_of(c->domains[i])))
            return true;
    return false;
}

enum config_policy config_policy_of(const struct config *c, struct span domain)
{
    for (unsigned i = 0; i < c->domain_policy_count; i++)
        if (span_ieq(domain, span_of(c->domain_policy[i].domain)))
            return c->domain_policy[i].policy;
    return c->policy;
}

bool config_may_policy(const struct config *c, enum config_policy policy)
{
    for (unsigned i = 0; i < c->domain_policy_count; i++)
        if (c->domain_policy[i].policy == policy)
            return true;
    return c->policy == policy;
}
