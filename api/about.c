#include "api/about.h"

#include "api/description.h"
#include "api/reply.h"
#include "service/version.h"

#include <jansson.h>

static const char start_page[] =
    "kist keeps JSON values behind plain HTTP.\n"
    "\n"
    "    curl -X PUT localhost:7700/kv/greeting -d '{\"hello\":\"world\"}'\n"
    "    curl localhost:7700/kv/greeting\n"
    "    curl 'localhost:7700/kv?prefix=gr'\n"
    "\n"
    "/openapi.yaml    every request, parameter and answer\n"
    "/kv              the keys\n"
    "/readyz?verbose  is all well?\n"
    "/metrics         for Prometheus\n"
    "/version         what runs here\n";

void about_start(struct request *request)
{
    reply_static(request, 200, "text/plain", view_of(start_page));
}

void about_version(struct request *request)
{
    json_auto_t *document =
        json_pack("{s:s, s:s}", "name", "kistd", "version", version_text());
    char *text = json_dumps(document, JSON_COMPACT);

    if (text == NULL) {
        reply_status(request, KIST_NO_MEMORY, "the version");
        return;
    }

    struct view body = view_of(text);
    struct blob owner = {
        .data = text, .size = body.size, .capacity = body.size + 1};

    reply_bytes(request, 200, "application/json", &owner, body);
}

void about_description(struct request *request)
{
    reply_static(request, 200, "application/yaml", description_text());
}
