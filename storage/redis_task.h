/*
 * redis_task - something to be done in one shard of Redis, a command at a
 * time.
 *
 * A task says a command and hears its answer, as often as it takes; a line
 * (storage/redis_line.h) carries many tasks at once and does what none of them
 * should know of: lost connections, slots that move, servers that are loading.
 *
 * Threads: one at a time has a task: who made it, then the line, then done().
 */
#ifndef KIST_STORAGE_REDIS_TASK_H
#define KIST_STORAGE_REDIS_TASK_H

#include "storage/redis_link.h"
#include "storage/redis_script.h"
#include "storage/redis_slot.h"

#include <stdint.h>

/* A command while it is made; kept by the line and used again and again. */
struct redis_command {
    struct view *arguments;
    size_t count;
    size_t capacity;
    struct blob text;         /* Of arguments that were put together here. */
    enum redis_script script; /* If one was added. */
    bool failed;              /* No memory; sticks, as with a blob. */
};

enum redis_name { REDIS_NAME_RECORD, REDIS_NAME_INDEX, REDIS_NAME_FLOOR };

/* Names and numbers of the command take text_size bytes at most. */
void redis_command_begin(struct redis_command *command, size_t text_size);

/* bytes are kept until the command was said. */
void redis_command_add(struct redis_command *command, struct view bytes);
void redis_command_add_number(struct redis_command *command, uint64_t number);

/* The name of a key of Redis: storage/redis_script.h. key: of a record. */
#define REDIS_COMMAND_NAME_SIZE   24 /* Beside the key. */
#define REDIS_COMMAND_NUMBER_SIZE 20
void redis_command_add_name(struct redis_command *command, uint32_t tag,
                            enum redis_name name, struct view key);

/* In place of a name of a command: a script, however it is called now. */
void redis_command_add_script(struct redis_command *command,
                              enum redis_script script);

void redis_command_free(struct redis_command *command);

enum redis_heard {
    REDIS_HEARD_ALL,   /* Done. */
    REDIS_HEARD_PART,  /* Another command follows, at once. */
    REDIS_HEARD_LATER, /* The same, after a moment. */
};

struct redis_task {
    /* Set by who makes it. */
    unsigned shard;
    uint64_t deadline_ns; /* Of clock_mono_ns(). */

    /* Make the next command. Thread of a line. */
    void (*say)(struct redis_task *task, struct redis_command *command);

    /* Its answer, which is no error. Thread of a line. */
    enum redis_heard (*hear)(struct redis_task *task,
                             const struct redis_answer *answer);

    /*
     * Once; the task is the maker's again. KIST_READ_ONLY: not done in time,
     * and no write of it happened. KIST_UNKNOWN: not done in time, the last
     * command may have happened, or is not on as many replicas as wanted.
     * KIST_DISK_FULL: no write happened, Redis has no memory for it. KIST_IO:
     * Redis refused it. KIST_NO_MEMORY. Thread of a line, or of the keeper.
     */
    void (*done)(struct redis_task *task, enum kist_status status);

    /* What say() made changes something. Set by say(). */
    bool writes;

    /*
     * The last command was said, and no answer came: it may have happened. say
     * the very same one again. Set by the line.
     */
    bool is_unanswered;

    /* The line's own. */
    struct redis_task *next;
    uint64_t not_before_ns;
    unsigned failures;
    bool asks;   /* Once, where the shard is on its way to. */
    bool quoted; /* Redis did not know the script: send all of it. */
};

struct redis_task_list {
    struct redis_task *first;
    struct redis_task **last;
};

void redis_task_list_init(struct redis_task_list *list);
void redis_task_list_add(struct redis_task_list *list, struct redis_task *task);
struct redis_task *redis_task_list_take(struct redis_task_list *list);
void redis_task_list_move(struct redis_task_list *to,
                          struct redis_task_list *from);

/* It cannot be done any more: done() with what is true of it. */
void redis_task_give_up(struct redis_task *task);

#endif
