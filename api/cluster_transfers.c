#include "api/cluster_transfers.h"

#include "api/api.h"
#include "api/cluster_pages.h"
#include "api/json_page.h"
#include "api/reply.h"
#include "base/owner.h"
#include "replication/survey.h"

#include <stdlib.h>

enum { SURVEY_MS = 1500 };

struct cluster_transfers {
    struct survey survey;
    struct request *request;
};

static void free_transfers(void *work)
{
    struct cluster_transfers *transfers = work;

    survey_clear(&transfers->survey);
    free(transfers);
}

static int set(json_t *object, const char *name, double value)
{
    return json_object_set_new(object, name, json_real(value));
}

/* As if what is left went as fast as what is over. */
static int add_forecast(json_t *page, const struct frame_moved *moved)
{
    double seconds = (double)moved->time_ms / 1e3;
    double left = (double)(moved->looks_total - moved->looks);

    if (moved->time_ms == 0)
        return 0;
    if (set(page, "bytes_per_second", (double)moved->bytes / seconds) != 0)
        return -1;
    return moved->looks == 0 ? 0
                             : set(page, "seconds_left",
                                   seconds * left / (double)moved->looks);
}

static json_t *member_of(const struct survey *survey,
                         const struct survey_member *member)
{
    const struct frame_moved *moved = &member->moved;
    json_t *page =
        json_pack("{s:o, s:b}", "name",
                  json_page_text(survey->ring->members[member->number].name),
                  "answers", member->has_answered);
    json_t *numbers;

    if (page == NULL || !member->has_answered)
        return page;
    numbers = json_pack(
        "{s:I, s:I, s:I, s:I, s:f}", "partitions", (json_int_t)moved->total,
        "partitions_done", (json_int_t)moved->done, "records",
        (json_int_t)moved->records, "bytes", (json_int_t)moved->bytes,
        "seconds", (double)moved->time_ms / 1e3);
    if (numbers == NULL || json_object_update(page, numbers) != 0 ||
        add_forecast(page, moved) != 0) {
        json_decref(page);
        page = NULL;
    }
    json_decref(numbers);
    return page;
}

static json_t *members_of(const struct survey *survey)
{
    json_t *members = json_array();

    for (unsigned i = 0; i < survey->count; i++)
        if (json_array_append_new(
                members, member_of(survey, &survey->members[i])) != 0) {
            json_decref(members);
            return NULL;
        }
    return members;
}

static void on_done(struct survey *survey)
{
    struct cluster_transfers *transfers =
        OWNER(survey, struct cluster_transfers, survey);

    json_page_reply(transfers->request, 200,
                    json_pack("{s:I, s:b, s:o}", "epoch",
                              (json_int_t)survey->ring->epoch, "pending",
                              survey->ring->next != NULL, "members",
                              members_of(survey)));
}

void cluster_transfers_get(struct request *request)
{
    struct seat *seat = request->api_loop->seat;
    struct cluster_transfers *transfers;
    enum kist_status status = KIST_NO_MEMORY;

    if (cluster_pages_cluster(request) == NULL)
        return;
    if (seat->ring == NULL) {
        reply_problem(request, PROBLEM_UNAVAILABLE,
                      "There is no ring yet; GET /cluster says why.");
        return;
    }
    transfers = calloc(1, sizeof(*transfers));
    if (transfers != NULL) {
        transfers->request = request;
        transfers->survey.timeout_ms = SURVEY_MS;
        transfers->survey.done = on_done;
        request->work = transfers;
        request->work_free = free_transfers;
        status = survey_start(&transfers->survey, seat);
    }
    if (status != KIST_OK)
        reply_status(request, status, "Nobody was asked");
}
