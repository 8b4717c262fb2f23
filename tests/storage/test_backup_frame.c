#include "storage/backup_frame.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

static struct backup_packer *packer;

static void set_up(void)
{
    cr_assert_eq(backup_packer_open(&packer), KIST_OK);
}

static void tear_down(void)
{
    backup_packer_close(packer);
}

TestSuite(backup_frame, .init = set_up, .fini = tear_down, .timeout = 20);

static void pack(struct backup_chain *chain, enum backup_kind kind,
                 const char *text, struct blob *out)
{
    cr_assert_eq(backup_frame_pack(packer, chain, kind, view_of(text), out),
                 KIST_OK);
}

static void expect_hex(struct view bytes, const char *expected)
{
    struct blob hex = BLOB_EMPTY;

    for (size_t i = 0; i < bytes.size; i++)
        blob_printf(&hex, "%02x", (unsigned char)bytes.data[i]);
    blob_append_byte(&hex, '\0');
    cr_expect(strcmp(hex.data, expected) == 0, "%s", hex.data);
    blob_free(&hex);
}

/* The frame at *rest, which goes on behind it; or why not. */
static const char *unpack(struct backup_chain *chain, struct view *rest,
                          enum backup_kind *out_kind, struct blob *out)
{
    struct view head = {rest->data, BACKUP_FRAME_HEAD_SIZE};
    struct backup_frame frame;
    const char *why = backup_frame_head(head, chain, &frame);
    struct view packed;

    if (why != NULL)
        return why;
    packed = view_from(*rest, BACKUP_FRAME_HEAD_SIZE);
    if (packed.size < frame.packed_size)
        return "too short";
    packed.size = frame.packed_size;
    why = backup_frame_unpack(packer, chain, head, &frame, packed, out);
    if (why != NULL)
        return why;
    *rest = view_from(*rest, BACKUP_FRAME_HEAD_SIZE + packed.size);
    *out_kind = frame.kind;
    return NULL;
}

/* What zstd makes of the bytes may change with it; the head may not. */
Test(backup_frame, begins_with_these_bytes)
{
    struct backup_chain chain = {.number = 0x0102030405060708};
    struct blob file = BLOB_EMPTY;

    pack(&chain, BACKUP_VALUE, "a piece", &file);
    expect_hex((struct view){file.data, 28},
               "5b2a4d1824000000" /* Skipped by zstd: 36 bytes. */
               "6b6973746261636b" /* kistback */
               "76616c75"         /* valu */
               "0102030405060708");
    blob_free(&file);
}

Test(backup_frame, come_back_as_they_were)
{
    struct backup_chain chain = {0}, again = {0};
    struct blob file = BLOB_EMPTY, out = BLOB_EMPTY;
    enum backup_kind kind;
    struct view rest;

    pack(&chain, BACKUP_HEAD, "lines", &file);
    pack(&chain, BACKUP_RECORDS, "", &file);
    pack(&chain, BACKUP_TAIL, "end", &file);
    rest = blob_view(&file);

    cr_assert_null(unpack(&again, &rest, &kind, &out));
    cr_expect(kind == BACKUP_HEAD && view_is(blob_view(&out), "lines"));
    cr_assert_null(unpack(&again, &rest, &kind, &out));
    cr_expect(kind == BACKUP_RECORDS && out.size == 0);
    cr_assert_null(unpack(&again, &rest, &kind, &out));
    cr_expect(kind == BACKUP_TAIL && view_is(blob_view(&out), "end"));
    cr_expect_eq(rest.size, 0);
    cr_expect(again.number == 3 && again.checksum == chain.checksum);
    blob_free(&file);
    blob_free(&out);
}

Test(backup_frame, with_any_bit_flipped_are_refused)
{
    struct backup_chain chain = {0};
    struct blob file = BLOB_EMPTY, out = BLOB_EMPTY;

    pack(&chain, BACKUP_HEAD, "some lines of a manifest", &file);
    for (size_t bit = 0; bit < file.size * 8; bit++) {
        struct backup_chain again = {0};
        struct view rest = blob_view(&file);
        enum backup_kind kind;

        file.data[bit / 8] ^= (char)(1 << bit % 8);
        cr_expect_not_null(unpack(&again, &rest, &kind, &out), "bit %zu", bit);
        cr_expect_eq(again.number, 0);
        file.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    blob_free(&file);
    blob_free(&out);
}

Test(backup_frame, of_another_file_or_place_are_refused)
{
    struct backup_chain one = {0}, other = {0}, again = {0};
    struct blob file = BLOB_EMPTY, stranger = BLOB_EMPTY, out = BLOB_EMPTY;
    enum backup_kind kind;
    struct view rest;

    pack(&one, BACKUP_HEAD, "one", &file);
    pack(&other, BACKUP_HEAD, "other", &stranger);
    blob_clear(&stranger);
    pack(&other, BACKUP_RECORDS, "records", &stranger);

    rest = blob_view(&file);
    cr_assert_null(unpack(&again, &rest, &kind, &out));
    rest = blob_view(&stranger); /* The right number, after another frame. */
    cr_expect_not_null(unpack(&again, &rest, &kind, &out));
    rest = blob_view(&file); /* The same frame once more. */
    cr_expect_not_null(unpack(&again, &rest, &kind, &out));
    blob_free(&file);
    blob_free(&stranger);
    blob_free(&out);
}
