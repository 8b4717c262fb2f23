/*
 * export_line - a record as lines of NDJSON, from which it can be made again
 * to the last bit: GET /admin/export, kistd --lines.
 *
 *     {"key":"a","version":"01a2...","created":"2026-11-30T23:37:29.040Z",
 *      "type":"number","value":1}
 *     {"key":"b","version":..,"created":..,"expires":..,
 *      "media_type":"image/png","base64":"iVBO"}
 *     {"key":"c","version":..,"created":..,"deleted":true}
 *     {"key":"d","version":..,"created":..,"media_type":..,"size":3000000}
 *     {"key":"d","offset":0,"base64":".."}
 *     {"key":"d","offset":196608,"base64":".."}
 *     {"end":true,"records":4}
 *
 * type is there if and only if the value is JSON, and media_type unless it is
 * application/json. JSON with line ends in it is base64, too. A value beyond
 * EXPORT_PIECE comes in pieces, in order, directly after its record. The last
 * line tells an export that was cut from a whole one.
 *
 * Threads: no state.
 */
#ifndef KIST_API_EXPORT_LINE_H
#define KIST_API_EXPORT_LINE_H

#include "storage/record.h"

/* Bytes of a value on one line; a multiple of 3, so base64 has no end in it. */
enum { EXPORT_PIECE = 192 << 10 };

/* Its line has all of it, and no pieces follow. */
bool export_line_is_whole(const struct record *record);

/* All of these append to *out, whose failure sticks. */
void export_line_record(struct view key, const struct record *record,
                        struct blob *out);
void export_line_piece(struct view key, uint64_t offset, struct view bytes,
                       struct blob *out);
void export_line_end(uint64_t records, struct blob *out);

#endif
