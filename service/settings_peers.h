/*
 * settings_peers - the members of a cluster, as --peers and --join name them.
 */
#ifndef KIST_SERVICE_SETTINGS_PEERS_H
#define KIST_SERVICE_SETTINGS_PEERS_H

#include "service/settings.h"

/*
 * These answer NULL, or what is wrong as the end of a sentence that begins
 * with the text; then nothing was stored.
 */
const char *settings_peers_parse_name(struct view text,
                                      char out_name[SETTINGS_NAME_SIZE]);
const char *settings_peers_parse_one(struct view text,
                                     struct settings_peer *out_peer);
const char *settings_peers_parse(struct view text,
                                 struct settings_peers *out_peers);

/* host:port, separated by commas; their names are empty. */
const char *settings_peers_parse_hosts(struct view text,
                                       struct settings_peers *out_hosts);

/* As these take it. */
void settings_peers_print(const struct settings_peers *peers,
                          struct blob *out_text);

/*
 * Do the settings of a cluster fit each other? False: *why says what does
 * not. A node alone always fits.
 */
KIST_CHECKED bool settings_peers_fit(const struct settings *settings,
                                     struct blob *why);

#endif
