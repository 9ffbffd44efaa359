/*
 * config/event_socket: where FreeSWITCH's event socket is, and what it is asked for.
 *
 * Reads `event-socket` of an upstream, a group of options of its own. What goes into its
 * commands must not end them. Never shows the password. Main thread only.
 */
#include "config/reader.h"

static bool is_word(const char *text)
{
    for (; *text; text++)
        if (*text == ' ' || (unsigned char)*text >= 0x7f)
            return false;
    return true;
}

void reader_event_socket(struct reader *r, const config_setting_t *s, struct config_upstream *up)
{
    struct config_event_socket *e = &up->event_socket;
    char where[160];

    if (!config_setting_is_group(s)) {
        reader_mistake(r, s,
                       "event-socket must be a group; write for example event-socket = "
                       "{ address = \"10.0.0.5:8021\"; password = \"...\"; }");
        return;
    }
    snprintf(where, sizeof where, " in event-socket of upstream %s", up->name ? up->name : "");
    reader_group(r, &config_event_options, s, where, e);
    if (!config_setting_get_member(s, "address"))
        reader_mistake(r, s,
                       "event-socket has no address; write for example address = "
                       "\"10.0.0.5:8021\"");
    if (!config_setting_get_member(s, "password"))
        reader_mistake(r, s,
                       "event-socket has no password; write the one of FreeSWITCH's "
                       "event_socket.conf.xml");
    if (e->profile && !is_word(e->profile))
        reader_mistake(r, config_setting_get_member(s, "profile"),
                       "profile = \"%s\" is no name of a SIP profile; write it as `sofia status` "
                       "shows it",
                       e->profile);
}
