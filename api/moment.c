#include "api/moment.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_S 86400

/*
 * Howard Hinnant's civil_from_days: years begin in March, so that a leap day is
 * a year's last, and 400 of them have the same number of days. gmtime_r()
 * takes a lock, and each answer with a value has such a time.
 */
static void to_date(uint64_t days, struct tm *out)
{
    uint64_t shifted = days + 719468; /* Since 0000-03-01. */
    uint64_t era = shifted / 146097;
    uint64_t day = shifted % 146097;
    uint64_t year =
        (day - day / 1460 + day / 36524 - day / 146096) / 365; /* Of the era. */
    uint64_t day_of_year = day - (365 * year + year / 4 - year / 100);
    uint64_t month = (5 * day_of_year + 2) / 153; /* 0 is March. */

    out->tm_mday = (int)(day_of_year - (153 * month + 2) / 5) + 1;
    out->tm_mon = (int)(month < 10 ? month + 2 : month - 10);
    out->tm_year = (int)(year + era * 400 + (month < 10 ? 0 : 1)) - 1900;
    out->tm_wday = (int)((days + 4) % 7); /* 1970 began on a Thursday. */
}

static struct tm to_calendar(uint64_t ms)
{
    uint64_t seconds = ms / 1000;
    int second = (int)(seconds % DAY_S);
    struct tm at = {
        .tm_hour = second / 3600,
        .tm_min = second / 60 % 60,
        .tm_sec = second % 60,
    };

    to_date(seconds / DAY_S, &at);
    return at;
}

void moment_to_rfc3339(uint64_t ms, char out_text[MOMENT_SIZE])
{
    struct tm at = to_calendar(ms);
    size_t size;

    size = strftime(out_text, MOMENT_SIZE, "%Y-%m-%dT%H:%M:%S", &at);
    snprintf(out_text + size, MOMENT_SIZE - size, ".%03uZ",
             (unsigned)(ms % 1000));
}

static void put_two(char *out, int number)
{
    out[0] = (char)('0' + number / 10 % 10);
    out[1] = (char)('0' + number % 10);
}

void moment_to_http(uint64_t ms, char out_text[MOMENT_SIZE])
{
    /* Not strftime's names: they follow the locale. */
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed",
                                   "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm at = to_calendar(ms);
    int year = at.tm_year + 1900;

    strcpy(out_text, "Day, dd Mon yyyy hh:mm:ss GMT");
    memcpy(out_text, days[at.tm_wday], 3);
    put_two(out_text + 5, at.tm_mday);
    memcpy(out_text + 8, months[at.tm_mon], 3);
    put_two(out_text + 12, year / 100);
    put_two(out_text + 14, year);
    put_two(out_text + 17, at.tm_hour);
    put_two(out_text + 20, at.tm_min);
    put_two(out_text + 23, at.tm_sec);
}

/* The next `digits` digits, at most `max`; they are taken off *text. */
static bool take_number(struct view *text, size_t digits, unsigned max,
                        int *out_number)
{
    uint64_t number;

    if (text->size < digits ||
        !view_to_u64((struct view){text->data, digits}, &number) ||
        number > max)
        return false;
    *out_number = (int)number;
    *text = view_from(*text, digits);
    return true;
}

static bool take_byte(struct view *text, const char *one_of)
{
    if (text->size == 0)
        return false;
    for (; *one_of != '\0'; one_of++)
        if (text->data[0] == *one_of) {
            *text = view_from(*text, 1);
            return true;
        }
    return false;
}

static bool take_fraction(struct view *text, int *out_ms)
{
    int scale = 100, ms = 0;
    size_t digits = 0;

    for (; text->size > 0 && text->data[0] >= '0' && text->data[0] <= '9';
         digits++, scale /= 10) {
        ms += (text->data[0] - '0') * scale;
        *text = view_from(*text, 1);
    }
    *out_ms = ms;
    return digits > 0 && digits <= 9;
}

/* "Z", or the minutes that local time is ahead of UTC. */
static bool take_offset(struct view *text, int *out_minutes)
{
    int hours, minutes;
    bool west = text->size > 0 && text->data[0] == '-';

    *out_minutes = 0;
    if (take_byte(text, "Zz"))
        return true;
    if (!take_byte(text, "+-") || !take_number(text, 2, 23, &hours) ||
        !take_byte(text, ":") || !take_number(text, 2, 59, &minutes))
        return false;
    *out_minutes = (hours * 60 + minutes) * (west ? -1 : 1);
    return true;
}

static bool take_clock(struct view *text, struct tm *at)
{
    return take_number(text, 2, 23, &at->tm_hour) && take_byte(text, ":") &&
           take_number(text, 2, 59, &at->tm_min) && take_byte(text, ":") &&
           take_number(text, 2, 60, &at->tm_sec);
}

/* at is as people write it: the month from 1, the whole year. */
static bool to_seconds(const struct tm *at, time_t *out_seconds)
{
    struct tm day = {.tm_year = at->tm_year - 1900,
                     .tm_mon = at->tm_mon - 1,
                     .tm_mday = at->tm_mday};
    time_t midnight = timegm(&day);

    /* timegm turns 31 February into March: such a day does not exist. */
    if (day.tm_mday != at->tm_mday || day.tm_mon != at->tm_mon - 1)
        return false;
    *out_seconds = midnight + at->tm_hour * 3600 + at->tm_min * 60 + at->tm_sec;
    return true;
}

bool moment_from_rfc3339(struct view text, uint64_t *out_ms)
{
    struct tm at = {0};
    int ms = 0, ahead;
    time_t seconds;

    if (!take_number(&text, 4, 9999, &at.tm_year) || !take_byte(&text, "-") ||
        !take_number(&text, 2, 12, &at.tm_mon) || !take_byte(&text, "-") ||
        !take_number(&text, 2, 31, &at.tm_mday) || !take_byte(&text, "Tt") ||
        !take_clock(&text, &at))
        return false;
    if (take_byte(&text, ".") && !take_fraction(&text, &ms))
        return false;
    if (!take_offset(&text, &ahead) || text.size != 0)
        return false;

    if (!to_seconds(&at, &seconds))
        return false;
    seconds -= ahead * 60;
    if (seconds < 0 || (at.tm_sec == 60 && seconds % DAY_S != 0))
        return false;
    *out_ms = (uint64_t)seconds * 1000 + (uint64_t)ms;
    return true;
}
