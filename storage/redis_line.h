/*
 * redis_line - one thread and its connection to one Redis.
 *
 * It takes all tasks that wait, says their commands together and hears what has
 * come by then: the more is waiting, the less a command costs. What is lost
 * with a connection, or refused for the moment, is said again until its
 * deadline.
 *
 * Threads: redis_line_give() from any; close after the last of it.
 */
#ifndef KIST_STORAGE_REDIS_LINE_H
#define KIST_STORAGE_REDIS_LINE_H

#include "storage/redis_map.h"

/* node and its map are kept. */
KIST_CHECKED enum kist_status redis_line_open(struct redis_node *node,
                                              struct redis_line **out_line);

/* Ends the thread. What is given from then on waits for the close. */
void redis_line_stop(struct redis_line *line);

/* Gives up what it has. Stopped before; takes NULL. */
void redis_line_close(struct redis_line *line);

void redis_line_give(struct redis_line *line, struct redis_task_list *list);

#endif
