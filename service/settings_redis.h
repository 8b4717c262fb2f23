/*
 * settings_redis - the Redis that keeps the data, as --redis-nodes names it.
 * Private to service/settings*.
 */
#ifndef KIST_SERVICE_SETTINGS_REDIS_H
#define KIST_SERVICE_SETTINGS_REDIS_H

#include "service/settings.h"

/* NULL, or what is wrong as in settings_peers_parse(). */
const char *settings_redis_parse(struct view text,
                                 struct settings_redis_nodes *out_nodes);
void settings_redis_print(const struct settings_redis_nodes *nodes,
                          struct blob *out_text);

/* Where a default is another one with Redis. */
void settings_redis_adjust(struct settings *settings);

/* As settings_peers_fit(). Another engine without Redis' settings fits. */
KIST_CHECKED bool settings_redis_fit(const struct settings *settings,
                                     struct blob *why);

#endif
