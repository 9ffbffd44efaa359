/*
 * admin/cli: the sub-commands that ask a running midreg.
 *
 * `midreg status`, `top`, `list`, `show`, `kick` and `reload`: HTTP to its Unix socket, the
 * answer as text for people or, with --json, as it came. A process of their own: they
 * share nothing with the one that is asked but its configuration file.
 */
#ifndef MIDREG_ADMIN_CLI_H
#define MIDREG_ADMIN_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* The exit status: 0 done, 1 could not (stderr says why), 2 wrongly called. `name` is one
 * of them; `config_path` is used where no -c is given. */
int cli_run(const char *name, int count, char **arguments, const char *config_path);

/* Is this a command of ours? */
bool cli_knows(const char *name);

/* ---- for the files of this room --------------------------------------------------- */

struct cli;

/* Where midreg answers, by its configuration or `socket` (a path, or NULL). NULL, with a
 * line on stderr: it is not to be had. */
struct cli *cli_open(const char *config_path, const char *socket);
void cli_close(struct cli *c);

/* Asks. The answer, which is the caller's; NULL, with a line on stderr that tells the
 * remedy, where there is none or it is an error. `path` is escaped already. */
json_t *cli_ask(struct cli *c, const char *method, const char *path);
/* A part of a path or of a parameter, escaped; to be freed with free(). NULL: no memory. */
char *cli_escape(struct cli *c, const char *text);

/* `midreg top`: frames until the end that its user wants. False, with a line on stderr:
 * midreg cannot be asked. */
struct cli_top {
    double interval_ms;
    bool once;
    bool json;
};
bool cli_top(struct cli *c, const struct cli_top *order);

/* Makes control characters in it visible ("\x1b"), in place: to be done before people see
 * what a phone wrote. */
void cli_clean(json_t *value);
/* Prints it for programs, a line, or (`indent`) several. In ASCII without control
 * characters, as it may end on a terminal all the same. */
void cli_put_json(const json_t *value, bool indent);

/* What people read. */
void cli_print_status(FILE *out, const json_t *status);
/* A page of a list; `head`: with the line that names the columns. */
void cli_print_list(FILE *out, const json_t *page, bool head);
void cli_print_aor(FILE *out, const json_t *aor);
/* One line on how far a reload is; `rate`: how many were done in the last second. */
void cli_print_reload(FILE *out, const json_t *upstream, double rate);

/* "2m 5s", "1h", "3d 4h". */
struct cli_duration {
    char text[32];
};
const char *cli_duration(struct cli_duration *room, json_int_t seconds);

#endif
