/*
 * scene - what each HTTP test stands on: a kistd of its own, one connection
 * and the last answer.
 *
 * The expectations check what every answer owes, whatever the test is about:
 * a problem document is complete, a write's refusal says its outcome. When
 * the scene closes, kistd must have the sockets and descriptors it began
 * with, no more memory than a little, a log that parses, and end with 0.
 */
#ifndef KIST_TESTS_SCENE_H
#define KIST_TESTS_SCENE_H

#include "base/bytes.h"
#include "tests/support/http.h"
#include "tests/support/kistd.h"
#include "tests/support/redis_server.h"

#include <jansson.h>
#include <stdbool.h>

struct scene {
    struct kistd kistd;
    struct redis_server redis; /* Runs if TEST_ENGINE=redis. */
    struct http http;
    struct http_answer answer;
    char asked[96];    /* How the last request began, for messages. */
    json_t *document;  /* The last one that was parsed, or NULL. */
    bool is_read_only; /* The present request is none that writes. */
    size_t slack_kib;  /* What kistd may keep at the end. */
    struct kept *kept; /* room() and who uses it. */
};

extern struct scene scene; /* A test is a process of its own. */

void scene_open(void);
void scene_open_with(const char *const flags[]); /* Ends with NULL. */
void scene_close(void);

bool scene_is_redis(void);

/* The test is about files, or durability as a store of one's own has it. */
void needs_a_store(void);

/* Connect anew, what the old connection had is dropped. */
void reconnect(void);

/*
 * One request on the scene's connection, which is opened again if the last
 * answer closed it. headers are lines that each end in CR LF, or "". body
 * NULL: none and no length.
 */
void ask(const char *what, const char *headers, const char *body);
void ask_bytes(const char *what, const char *headers, struct view body);
#define ASK(what) ask(what, "", NULL)

/* ask() where the test only goes on with this status. */
void ask_for(unsigned status, const char *what, const char *headers,
             const char *body);

/* size bytes that last until scene_close(). */
char *room(size_t size);

/* The same, filled with bytes, no two stretches alike. */
struct view noise(size_t size, unsigned seed);

/* The bytes of blob, which is freed, as a text that lasts as long. */
const char *text_of(struct blob *blob);

/* printf into a text that lives as long as the test. */
const char *text(const char *format, ...) KIST_PRINTF(1, 2);

/* size bytes of `byte`, as a text that lives as long as the test. */
const char *many(size_t size, char byte);

/* Raw bytes on a fresh connection, then the first answer. */
void send_raw(const char *request);
void send_raw_bytes(struct view request);
void begin_raw(const char *request); /* Without waiting for the answer. */
void hear(void);                     /* The next answer. */

/* Of the last answer. */
void expect_status(unsigned status);
void expect_header(const char *name, const char *value);
void expect_some_header(const char *name);
void expect_no_header(const char *name);
void expect_body(const char *body);
void expect_body_bytes(struct view body);
struct view header(const char *name);

/* The ETag as text; the answer must have one that fits Kist-Version. */
const char *etag(void);

/* The body as JSON, borrowed until the next request. */
json_t *document(void);

/* status and slug with a complete problem document and its outcome. */
void expect_problem(unsigned status, const char *slug);

/* The limit that was hit is named with its value. */
void expect_named(const char *limit);

/* The connection: closed by the server now, or good for another request. */
void expect_closed(void);
void expect_open(void);

/* Asked on another connection, the last answer stays. */
void expect_value(const char *target, const char *value);
void expect_value_bytes(const char *target, struct view value);
void expect_absent(const char *target);
void expect_nothing_stored(void); /* GET /kv?count=1 says 0. */
void expect_well(void);           /* A new client is served. */

#endif
