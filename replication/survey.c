#include "replication/survey.h"

#include "base/owner.h"
#include "replication/transfer.h"

#include <stdlib.h>

static void on_answer(struct env_call *call, enum env_outcome outcome,
                      struct view answer)
{
    struct survey_member *member = OWNER(call, struct survey_member, call);
    struct survey *survey = member->survey;
    struct frame frame;

    (void)outcome; /* Without an answer there are no bytes. */
    member->has_answered =
        frame_decode(answer, &frame) == KIST_OK && frame.answer &&
        frame.kind == FRAME_MOVES && frame.status == FRAME_OK &&
        frame.epoch == survey->ring->epoch && frame.items == 1 &&
        frame_next_moved(&frame.body, &member->moved) == KIST_OK;
    if (--survey->out == 0)
        survey->done(survey);
}

static bool write_message(struct survey_member *member, struct seat *seat)
{
    const struct ring *ring = member->survey->ring;
    struct frame head =
        seat_head(seat, FRAME_MOVES, ring->members[member->number].incarnation);

    head.budget_ms = (uint32_t)member->survey->timeout_ms;
    frame_begin(&head, &member->message);
    frame_add_moves(seat->floor.hlc, &member->message);
    frame_seal(1, &member->message);
    return !member->message.failed;
}

static void on_timer(struct env_timer *timer)
{
    struct survey *survey = OWNER(timer, struct survey, timer);

    survey->done(survey);
}

static enum kist_status write_messages(struct survey *survey, struct seat *seat)
{
    const struct ring *ring = survey->ring;

    for (unsigned i = 0; i < ring->member_count; i++) {
        struct survey_member *member = &survey->members[survey->count];

        if (transfer_count(ring, ring->members[i].incarnation) == 0)
            continue;
        member->number = i;
        member->survey = survey;
        survey->count++;
        if (!write_message(member, seat))
            return KIST_NO_MEMORY;
    }
    return KIST_OK;
}

enum kist_status survey_start(struct survey *survey, struct seat *seat)
{
    struct env *env = seat->env;
    enum kist_status status;

    survey->ring = ring_share(seat->ring);
    survey->count = 0;
    survey->members =
        calloc(seat->ring->member_count, sizeof(*survey->members));
    if (survey->members == NULL)
        return KIST_NO_MEMORY;
    status = write_messages(survey, seat);
    if (status != KIST_OK)
        return status;
    survey->out = survey->count;
    survey->timer = (struct env_timer){.fire = on_timer};
    if (survey->count == 0)
        env->ops->timer_set(env, &survey->timer, 0);
    for (unsigned i = 0; i < survey->count; i++) {
        struct survey_member *member = &survey->members[i];
        const struct ring_member *whom = &survey->ring->members[member->number];

        member->call = (struct env_call){
            .to = whom->incarnation,
            .address = whom->address,
            .message = blob_view(&member->message),
            .timeout_ms = survey->timeout_ms,
            .done = on_answer,
        };
        env->ops->send(env, &member->call);
    }
    return KIST_OK;
}

void survey_clear(struct survey *survey)
{
    for (unsigned i = 0; i < survey->count; i++)
        blob_free(&survey->members[i].message);
    free(survey->members);
    ring_free(survey->ring);
}
