/*
 * Arguments, a NUL, the environment, a NUL, the configuration file; arguments
 * and variables end with their lines. All is refused with one line without
 * control bytes and nothing touched, or it can be printed.
 */
#include "service/settings_page.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 64 };

/* Strings for argv or envp, and NULL behind them. */
struct words {
    char *list[WORDS + 1];
    int count;
};

static void add_word(struct words *words, struct view text)
{
    if (words->count == WORDS)
        return;
    words->list[words->count] =
        strndup(text.size == 0 ? "" : text.data, text.size);
    assert(words->list[words->count] != NULL);
    words->count++;
}

static void add_lines(struct words *words, struct view text)
{
    while (text.size > 0) {
        const char *end = memchr(text.data, '\n', text.size);
        size_t size = end != NULL ? (size_t)(end - text.data) : text.size;

        add_word(words, (struct view){text.data, size});
        text = view_from(text, end != NULL ? size + 1 : size);
    }
}

static void free_words(struct words *words)
{
    for (int i = 0; i < words->count; i++)
        free(words->list[i]);
}

static enum kist_status read_file(void *ctx, const char *path,
                                  struct blob *out_text)
{
    (void)path;
    blob_append(out_text, *(const struct view *)ctx);
    return KIST_OK;
}

static void expect_line(struct view why)
{
    assert(why.size > 0); /* Maybe no UTF-8: names of files need not be. */
    for (size_t i = 0; i < why.size; i++)
        assert((unsigned char)why.data[i] >= ' ' && why.data[i] != 0x7F);
}

static void expect_page(const struct settings *settings)
{
    struct blob page = BLOB_EMPTY;

    settings_page_print(settings, &page);
    assert(!page.failed);
    assert((page.size == 0) == (settings->action == SETTINGS_SERVE ||
                                settings->action == SETTINGS_HEALTHCHECK));
    blob_free(&page);
}

static void parse(const struct settings_input *input)
{
    static struct settings settings, untouched; /* Large for a stack. */
    struct blob why = BLOB_EMPTY;

    memset(&settings, 0xA5, sizeof(settings));
    untouched = settings;
    enum kist_status status = settings_parse(input, &settings, &why);

    if (status == KIST_OK) {
        expect_page(&settings);
        assert(settings.listen.count >= 1 &&
               settings.listen.count <= SETTINGS_LISTENERS);
    } else {
        assert(status == KIST_INVALID);
        assert(memcmp(&settings, &untouched, sizeof(settings)) == 0);
        expect_line(blob_view(&why));
    }
    blob_free(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view file = {(const char *)data, size};
    struct words arguments = {0}, environment = {0};

    add_word(&arguments, VIEW_LITERAL("kistd"));
    add_lines(&arguments, fuzz_cut(&file));
    add_lines(&environment, fuzz_cut(&file));
    parse(&(struct settings_input){
        .argc = arguments.count,
        .argv = arguments.list,
        .envp = environment.list,
        .ctx = &file,
        .read_file = read_file,
    });
    free_words(&arguments);
    free_words(&environment);
    return 0;
}
