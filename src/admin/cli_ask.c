/*
 * admin/cli_ask: HTTP to a running midreg.
 *
 * Called by cli.c in a process of its own. Waits for an answer, ten seconds at most.
 */
#include "admin/cli.h"

#include "config/config.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_S  10L
#define ANSWER_MAX (16 * 1024 * 1024)
#define URL_MAX    8192

struct cli {
    CURL *curl;
    struct curl_slist *fields;
    char *socket; /* NULL: over TCP, to `host` */
    char host[80];
    char *answer;
    size_t n;
};

static size_t take(char *bytes, size_t size, size_t count, void *self)
{
    struct cli *c = self;
    size_t n = size * count;
    char *larger = c->n + n < ANSWER_MAX ? realloc(c->answer, c->n + n + 1) : NULL;

    if (!larger)
        return 0;
    memcpy(larger + c->n, bytes, n);
    c->answer = larger;
    c->n += n;
    c->answer[c->n] = '\0';
    return n;
}

/* The Unix socket that the configuration names; where it names none, its TCP address. */
static bool find_place(struct cli *c, const char *config_path)
{
    struct config *config = config_load(config_path, stderr);
    struct buf host = buf_make(c->host, sizeof c->host - 1);
    bool found = false;

    if (!config)
        return false;
    for (unsigned i = 0; i < config->admin_count && !c->socket; i++)
        if (config->admin[i].path)
            c->socket = strdup(config->admin[i].path);
    for (unsigned i = 0; i < config->admin_count && !c->socket && !found; i++) {
        address_put(&host, &config->admin[i].address);
        c->host[host.n] = '\0';
        found = true;
    }
    config_free(config);
    if (c->socket || found)
        return true;
    fprintf(stderr,
            "%s: admin is empty, so midreg cannot be asked: write for example admin = "
            "[ \"unix:/run/midreg/admin.sock\" ]\n",
            config_path);
    return false;
}

struct cli *cli_open(const char *config_path, const char *socket)
{
    struct cli *c = calloc(1, sizeof *c);

    if (!c) {
        fputs("midreg: out of memory\n", stderr);
        return NULL;
    }
    snprintf(c->host, sizeof c->host, "localhost");
    c->socket = socket ? strdup(socket) : NULL;
    if (!socket && !find_place(c, config_path)) {
        cli_close(c);
        return NULL;
    }
    c->curl = curl_easy_init();
    c->fields = curl_slist_append(NULL, "X-Midreg: 1");
    if (c->curl && c->fields)
        return c;
    fputs("midreg: out of memory\n", stderr);
    cli_close(c);
    return NULL;
}

void cli_close(struct cli *c)
{
    if (!c)
        return;
    curl_slist_free_all(c->fields);
    curl_easy_cleanup(c->curl);
    free(c->socket);
    free(c->answer);
    free(c);
}

char *cli_escape(struct cli *c, const char *text)
{
    char *escaped = curl_easy_escape(c->curl, text, 0);
    char *copy = escaped ? strdup(escaped) : NULL;

    curl_free(escaped);
    return copy;
}

static void complain(const struct cli *c, CURLcode code)
{
    const char *place = c->socket ? c->socket : c->host;

    if (code == CURLE_COULDNT_CONNECT)
        fprintf(stderr,
                "midreg: nobody answers at %s: is midreg running, by this configuration "
                "(-c FILE), and may you use that socket (it is its user's and root's)?\n",
                place);
    else if (code == CURLE_OPERATION_TIMEDOUT)
        fprintf(stderr, "midreg: no answer from %s within %ld s: it is very busy, try again\n",
                place, TIMEOUT_S);
    else
        fprintf(stderr, "midreg: %s: %s\n", place, curl_easy_strerror(code));
}

/* What it says when it will not. */
static void print_error(const json_t *answer, long status)
{
    const char *error = json_string_value(json_object_get(answer, "error"));
    const char *remedy = json_string_value(json_object_get(answer, "remedy"));

    if (error && remedy)
        fprintf(stderr, "midreg: %s; %s\n", error, remedy);
    else
        fprintf(stderr, "midreg: it answered with status %ld: is that midreg's socket?\n", status);
}

static bool perform(struct cli *c, const char *method, const char *path)
{
    char url[URL_MAX];
    CURLcode code;

    if ((size_t)snprintf(url, sizeof url, "http://%s%s", c->host, path) >= sizeof url) {
        fputs("midreg: that is too long\n", stderr);
        return false;
    }
    free(c->answer);
    c->answer = NULL;
    c->n = 0;
    curl_easy_reset(c->curl);
    if (c->socket)
        curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, c->socket);
    curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(c->curl, CURLOPT_URL, url);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->fields);
    curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, TIMEOUT_S);
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
    if (strcmp(method, "POST") == 0)
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, "");
    code = curl_easy_perform(c->curl);
    if (code != CURLE_OK)
        complain(c, code);
    return code == CURLE_OK;
}

json_t *cli_ask(struct cli *c, const char *method, const char *path)
{
    json_t *answer;
    long status = 0;

    if (!perform(c, method, path))
        return NULL;
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    answer = c->answer ? json_loadb(c->answer, c->n, 0, NULL) : NULL;
    if (answer && status < 300)
        return answer;
    print_error(answer, status);
    json_decref(answer);
    return NULL;
}
