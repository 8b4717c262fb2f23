/*
 * Every number but zero has one normal form: sign, 0.d1...dn with d1 and dn
 * not zero, times ten to some power. Two numbers are equal if sign, digits
 * and power are. The power is the exponent as written, which may have any
 * number of digits itself, plus a small shift that comes from the place of
 * the point; so not the powers but the difference of the exponents is
 * computed, and given up as soon as no shift could make up for it.
 */
#include "api/json_number.h"

#include <stdint.h>

struct number {
    bool negative;
    struct view digits; /* From the first to the last that is not 0; a point
                           may be among them. Empty: the number is zero. */
    int64_t shift;      /* The power of ten beside the exponent. */
    bool exponent_negative;
    struct view exponent; /* Its digits without leading zeros. */
};

static struct number split_exponent(struct view text, struct view *out_rest)
{
    struct number number = {.exponent = {text.data, 0}};
    size_t mantissa = 0;

    while (mantissa < text.size && text.data[mantissa] != 'e' &&
           text.data[mantissa] != 'E')
        mantissa++;
    *out_rest = (struct view){text.data, mantissa};
    if (mantissa == text.size)
        return number;

    number.exponent = view_from(text, mantissa + 1);
    if (number.exponent.size > 0 &&
        (*number.exponent.data == '-' || *number.exponent.data == '+')) {
        number.exponent_negative = *number.exponent.data == '-';
        number.exponent = view_from(number.exponent, 1);
    }
    while (number.exponent.size > 0 && *number.exponent.data == '0')
        number.exponent = view_from(number.exponent, 1);
    return number;
}

static struct number read_number(struct view text)
{
    struct number number = split_exponent(text, &text);
    size_t whole = 0, first = 0;

    if (text.size > 0 && *text.data == '-') {
        number.negative = true;
        text = view_from(text, 1);
    }
    while (whole < text.size && text.data[whole] != '.')
        whole++;
    while (first < text.size &&
           (text.data[first] == '0' || text.data[first] == '.'))
        first++;
    while (text.size > first &&
           (text.data[text.size - 1] == '0' || text.data[text.size - 1] == '.'))
        text.size--;

    number.digits = view_from(text, first);
    /* Behind the point, the point itself is one step too many. */
    number.shift = (int64_t)whole - (int64_t)first + (first > whole ? 1 : 0);
    return number;
}

static bool same_digits(struct view a, struct view b)
{
    for (;;) {
        if (a.size > 0 && *a.data == '.')
            a = view_from(a, 1);
        if (b.size > 0 && *b.data == '.')
            b = view_from(b, 1);
        if (a.size == 0 || b.size == 0)
            return a.size == b.size;
        if (*a.data != *b.data)
            return false;
        a = view_from(a, 1);
        b = view_from(b, 1);
    }
}

/* The digit that is worth ten to the place, 0 beyond the first. */
static int64_t digit_at(const struct number *number, size_t place)
{
    struct view digits = number->exponent;

    if (place >= digits.size)
        return 0;
    int64_t digit = digits.data[digits.size - 1 - place] - '0';
    return number->exponent_negative ? -digit : digit;
}

/* Whether the exponent of a minus that of b is difference. */
static bool exponents_differ_by(const struct number *a, const struct number *b,
                                int64_t difference)
{
    /* Beyond every shift, and once beyond it the sum only grows. */
    const int64_t hopeless = (int64_t)1 << 52;
    size_t place = a->exponent.size > b->exponent.size ? a->exponent.size
                                                       : b->exponent.size;
    int64_t sum = 0;

    while (place > 0) {
        place--;
        sum = sum * 10 + digit_at(a, place) - digit_at(b, place);
        if (sum > hopeless || sum < -hopeless)
            return false;
    }
    return sum == difference;
}

bool json_number_equal(struct view a, struct view b)
{
    struct number left = read_number(a), right = read_number(b);

    if (left.digits.size == 0 || right.digits.size == 0)
        return left.digits.size == right.digits.size; /* -0 is 0. */
    return left.negative == right.negative &&
           same_digits(left.digits, right.digits) &&
           exponents_differ_by(&left, &right, right.shift - left.shift);
}
