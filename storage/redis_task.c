#include "storage/redis_task.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#define ARGUMENTS_AT_ONCE 64

/* Memory that one command may leave behind for the next one. */
#define KEPT_BYTES (1u << 20)

void redis_command_begin(struct redis_command *command, size_t text_size)
{
    if (command->text.capacity > KEPT_BYTES)
        blob_free(&command->text);
    blob_clear(&command->text);
    command->count = 0;
    command->failed = blob_reserve(&command->text, text_size) != KIST_OK;
}

void redis_command_add(struct redis_command *command, struct view bytes)
{
    if (command->count == command->capacity) {
        size_t capacity = command->capacity * 2 + ARGUMENTS_AT_ONCE;
        struct view *arguments =
            reallocarray(command->arguments, capacity, sizeof(*arguments));

        if (arguments == NULL) {
            command->failed = true;
            return;
        }
        command->arguments = arguments;
        command->capacity = capacity;
    }
    command->arguments[command->count++] = bytes;
}

/* What was appended since size was that of the text. It has not moved. */
static void add_text(struct redis_command *command, size_t size)
{
    if (command->text.failed || command->failed) {
        command->failed = true;
        return;
    }
    redis_command_add(command, view_from(blob_view(&command->text), size));
}

static void append_number(struct blob *text, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    blob_append(text, (struct view){digits + at, sizeof(digits) - at});
}

void redis_command_add_number(struct redis_command *command, uint64_t number)
{
    size_t size = command->text.size;

    append_number(&command->text, number);
    add_text(command, size);
}

void redis_command_add_name(struct redis_command *command, uint32_t tag,
                            enum redis_name name, struct view key)
{
    static const char *const ends[] = {"}:", "}#index", "}#floor"};
    size_t size = command->text.size;
    const char *data = command->text.data;

    blob_append_text(&command->text, "kist{");
    append_number(&command->text, tag);
    blob_append_text(&command->text, ends[name]);
    blob_append(&command->text, key);
    assert(command->failed || command->text.failed ||
           command->text.data == data);
    add_text(command, size);
}

void redis_command_add_script(struct redis_command *command,
                              enum redis_script script)
{
    command->script = script;
    /* The line sets both. */
    redis_command_add(command, (struct view){NULL, 0});
    redis_command_add(command, (struct view){NULL, 0});
}

void redis_command_free(struct redis_command *command)
{
    free(command->arguments);
    blob_free(&command->text);
}

void redis_task_list_init(struct redis_task_list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

void redis_task_list_add(struct redis_task_list *list, struct redis_task *task)
{
    task->next = NULL;
    *list->last = task;
    list->last = &task->next;
}

struct redis_task *redis_task_list_take(struct redis_task_list *list)
{
    struct redis_task *task = list->first;

    list->first = task->next;
    if (list->first == NULL)
        redis_task_list_init(list);
    return task;
}

void redis_task_list_move(struct redis_task_list *to,
                          struct redis_task_list *from)
{
    if (from->first == NULL)
        return;
    *to->last = from->first;
    to->last = from->last;
    redis_task_list_init(from);
}

void redis_task_give_up(struct redis_task *task)
{
    task->done(task, task->is_unanswered ? KIST_UNKNOWN : KIST_READ_ONLY);
}
