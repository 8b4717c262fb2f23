/*
 * Families stand in an array in registration order, each with an array of its
 * series; both only grow until metrics_seal(), so a render is one walk without
 * a lock. Finding a family or a twin is a linear search: a few hundred strcmp
 * at start, never later.
 *
 * The two formats differ in four places only: OpenMetrics names a counter's
 * family without its _total, has a UNIT line, wants a bucket's bound as a
 * float (`1.0`), and ends in `# EOF`.
 */
#include "service/metrics.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S UINT64_C(1000000000)

enum metric_type { TYPE_COUNTER, TYPE_GAUGE, TYPE_HISTOGRAM };

enum series_kind {
    SERIES_COUNTER,
    SERIES_GAUGE,
    SERIES_HISTOGRAM,
    SERIES_SOURCE,
    SERIES_LIST, /* Its labels are those of its items. */
};

struct series {
    char *labels; /* Ours; empty text when there are none. */
    enum series_kind kind;
    union {
        const struct counter *counter;
        const struct gauge *gauge;
        const struct histogram *histogram;
        struct metric_source source;
        struct metric_list list;
    };
};

struct family {
    const char *name;
    const char *help;
    enum metric_type type;
    struct series *series;
    size_t nseries;
};

struct metrics {
    struct family *families;
    size_t nfamilies;
    bool sealed;
    bool failed; /* Some registration found no memory. */
};

enum kist_status metrics_open(struct metrics **out_metrics)
{
    struct metrics *metrics = calloc(1, sizeof(*metrics));
    if (metrics == NULL)
        return KIST_NO_MEMORY;

    *out_metrics = metrics;
    return KIST_OK;
}

void metrics_close(struct metrics *metrics)
{
    if (metrics == NULL)
        return;

    for (size_t i = 0; i < metrics->nfamilies; i++) {
        struct family *family = &metrics->families[i];
        for (size_t j = 0; j < family->nseries; j++)
            free(family->series[j].labels);
        free(family->series);
    }
    free(metrics->families);
    free(metrics);
}

static bool ends_with(const char *text, const char *end)
{
    size_t text_size = strlen(text);
    size_t end_size = strlen(end);
    return text_size >= end_size &&
           strcmp(text + text_size - end_size, end) == 0;
}

static bool is_name(const char *name)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyz_";
    static const char later[] = "abcdefghijklmnopqrstuvwxyz_0123456789";
    return *name != '\0' && strchr(first, *name) != NULL &&
           name[strspn(name, later)] == '\0';
}

/* What promtool and other scrapers would refuse or complain about. */
static void assert_conventions(const char *name, const char *help,
                               enum metric_type type)
{
    assert(is_name(name));
    assert(ends_with(name, "_total") == (type == TYPE_COUNTER));
    assert(type != TYPE_HISTOGRAM || ends_with(name, "_seconds"));
    assert(!ends_with(name, "_count") && !ends_with(name, "_sum"));
    assert(!ends_with(name, "_bucket"));
    assert(*help != '\0' && strpbrk(help, "\\\"\n") == NULL);
}

static struct family *find_family(struct metrics *metrics, const char *name)
{
    for (size_t i = 0; i < metrics->nfamilies; i++)
        if (strcmp(metrics->families[i].name, name) == 0)
            return &metrics->families[i];
    return NULL;
}

static struct family *add_family(struct metrics *metrics, const char *name,
                                 const char *help, enum metric_type type)
{
    struct family *families = reallocarray(
        metrics->families, metrics->nfamilies + 1, sizeof(*metrics->families));
    if (families == NULL)
        return NULL;

    metrics->families = families;
    struct family *family = &families[metrics->nfamilies++];
    *family = (struct family){.name = name, .help = help, .type = type};
    return family;
}

static bool has_series(const struct family *family, const char *labels)
{
    for (size_t i = 0; i < family->nseries; i++)
        if (strcmp(family->series[i].labels, labels) == 0)
            return true;
    return false;
}

/* False: no memory, and the family is as it was. */
static bool add_series(struct family *family, const char *labels,
                       struct series series)
{
    struct series *all = reallocarray(family->series, family->nseries + 1,
                                      sizeof(*family->series));
    if (all == NULL)
        return false;
    family->series = all;

    series.labels = strdup(labels);
    if (series.labels == NULL)
        return false;
    all[family->nseries++] = series;
    return true;
}

/* What the caller says of a series' family. */
struct heading {
    const char *name;
    const char *help;
    enum metric_type type;
};

static void add(struct metrics *metrics, struct heading heading,
                const char *labels, struct series series)
{
    assert(!metrics->sealed);
    assert_conventions(heading.name, heading.help, heading.type);
    if (labels == NULL)
        labels = "";

    struct family *family = find_family(metrics, heading.name);
    if (family == NULL)
        family = add_family(metrics, heading.name, heading.help, heading.type);
    if (family == NULL) {
        metrics->failed = true;
        return;
    }
    assert(family->type == heading.type);
    assert(strcmp(family->help, heading.help) == 0);
    assert(!has_series(family, labels));

    if (!add_series(family, labels, series))
        metrics->failed = true;
}

void metrics_counter(struct metrics *metrics, const char *name,
                     const char *help, const char *labels,
                     const struct counter *counter)
{
    add(metrics, (struct heading){name, help, TYPE_COUNTER}, labels,
        (struct series){.kind = SERIES_COUNTER, .counter = counter});
}

void metrics_gauge(struct metrics *metrics, const char *name, const char *help,
                   const char *labels, const struct gauge *gauge)
{
    add(metrics, (struct heading){name, help, TYPE_GAUGE}, labels,
        (struct series){.kind = SERIES_GAUGE, .gauge = gauge});
}

void metrics_histogram(struct metrics *metrics, const char *name,
                       const char *help, const char *labels,
                       const struct histogram *histogram)
{
    add(metrics, (struct heading){name, help, TYPE_HISTOGRAM}, labels,
        (struct series){.kind = SERIES_HISTOGRAM, .histogram = histogram});
}

void metrics_read_counter(struct metrics *metrics, const char *name,
                          const char *help, const char *labels,
                          struct metric_source source)
{
    add(metrics, (struct heading){name, help, TYPE_COUNTER}, labels,
        (struct series){.kind = SERIES_SOURCE, .source = source});
}

void metrics_read_gauge(struct metrics *metrics, const char *name,
                        const char *help, const char *labels,
                        struct metric_source source)
{
    add(metrics, (struct heading){name, help, TYPE_GAUGE}, labels,
        (struct series){.kind = SERIES_SOURCE, .source = source});
}

void metrics_list_gauge(struct metrics *metrics, const char *name,
                        const char *help, struct metric_list list)
{
    add(metrics, (struct heading){name, help, TYPE_GAUGE}, NULL,
        (struct series){.kind = SERIES_LIST, .list = list});
}

enum kist_status metrics_seal(struct metrics *metrics)
{
    metrics->sealed = true;
    return metrics->failed ? KIST_NO_MEMORY : KIST_OK;
}

const char *metrics_media_type(enum metrics_format format)
{
    switch (format) {
    case METRICS_PROMETHEUS:
        return "text/plain; version=0.0.4; charset=utf-8";
    case METRICS_OPENMETRICS:
        return "application/openmetrics-text; version=1.0.0; charset=utf-8";
    }
    abort(); /* Not a metrics format. */
}

static const char *type_word(enum metric_type type)
{
    switch (type) {
    case TYPE_COUNTER:
        return "counter";
    case TYPE_GAUGE:
        return "gauge";
    case TYPE_HISTOGRAM:
        return "histogram";
    }
    abort(); /* Not a metric type. */
}

/* The family's own name: OpenMetrics leaves _total to a counter's samples. */
static struct view family_name(const struct family *family,
                               enum metrics_format format)
{
    struct view name = view_of(family->name);
    if (format == METRICS_OPENMETRICS && family->type == TYPE_COUNTER)
        name.size -= strlen("_total");
    return name;
}

static bool view_ends_with(struct view whole, const char *end)
{
    size_t size = strlen(end);
    return whole.size >= size &&
           view_is(view_from(whole, whole.size - size), end);
}

static const char *unit_of(struct view name)
{
    if (view_ends_with(name, "_seconds"))
        return "seconds";
    if (view_ends_with(name, "_bytes"))
        return "bytes";
    return NULL;
}

static void render_head(const struct family *family, enum metrics_format format,
                        struct blob *out)
{
    struct view name = family_name(family, format);
    int size = (int)name.size;

    blob_printf(out, "# HELP %.*s %s\n", size, name.data, family->help);
    blob_printf(out, "# TYPE %.*s %s\n", size, name.data,
                type_word(family->type));
    if (format == METRICS_OPENMETRICS && unit_of(name) != NULL)
        blob_printf(out, "# UNIT %.*s %s\n", size, name.data, unit_of(name));
}

/* `name_suffix{labels} `, ready for the value. */
static void render_name(const struct family *family, const char *suffix,
                        const char *labels, struct blob *out)
{
    blob_printf(out, "%s%s", family->name, suffix);
    if (*labels != '\0')
        blob_printf(out, "{%s}", labels);
    blob_append_byte(out, ' ');
}

/* The shortest of the usual forms that reads back as the same number. */
static void render_double(double value, struct blob *out)
{
    if (isnan(value)) {
        blob_append_text(out, "NaN\n");
    } else if (isinf(value)) {
        blob_append_text(out, value > 0 ? "+Inf\n" : "-Inf\n");
    } else {
        char text[32];
        int size = snprintf(text, sizeof(text), "%.15g", value);
        if (strtod(text, NULL) != value)
            size = snprintf(text, sizeof(text), "%.17g", value);
        assert(size > 0 && (size_t)size < sizeof(text));
        blob_printf(out, "%s\n", text);
    }
}

static void render_bucket(const struct family *family, const char *labels,
                          const char *bound, uint64_t count, struct blob *out)
{
    blob_printf(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", family->name, labels,
                *labels == '\0' ? "" : ",", bound, (unsigned long long)count);
}

/* `%g` is right for 5e-05 to 2.5; whole seconds differ between formats. */
static void write_bound(uint64_t bound_ns, enum metrics_format format,
                        char *text, size_t size)
{
    bool whole = bound_ns % NS_PER_S == 0;
    bool as_float = whole && format == METRICS_OPENMETRICS;
    int length = snprintf(text, size, "%g%s", (double)bound_ns / 1e9,
                          as_float ? ".0" : "");
    assert(length > 0 && (size_t)length < size);
}

/*
 * The count is the sum of the buckets that were read, so the two agree in
 * every scrape; sum_ns is read after them and may be a moment younger.
 */
static void render_histogram(const struct family *family,
                             const struct series *series,
                             enum metrics_format format, struct blob *out)
{
    const struct histogram *histogram = series->histogram;
    uint64_t count = 0;

    for (size_t i = 0; i <= HISTOGRAM_BUCKETS; i++) {
        char bound[24] = "+Inf";
        if (i < HISTOGRAM_BUCKETS)
            write_bound(histogram_bounds_ns[i], format, bound, sizeof(bound));
        count +=
            atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
        render_bucket(family, series->labels, bound, count, out);
    }

    uint64_t sum_ns =
        atomic_load_explicit(&histogram->sum_ns, memory_order_relaxed);
    render_name(family, "_sum", series->labels, out);
    blob_printf(out, "%llu.%09llu\n", (unsigned long long)(sum_ns / NS_PER_S),
                (unsigned long long)(sum_ns % NS_PER_S));
    render_name(family, "_count", series->labels, out);
    blob_printf(out, "%llu\n", (unsigned long long)count);
}

static void render_list(const struct family *family,
                        const struct metric_list *list, struct blob *out)
{
    size_t count = list->count(list->ctx);
    struct blob labels = BLOB_EMPTY;
    double value;

    for (size_t i = 0; i < count; i++) {
        blob_clear(&labels);
        if (!list->read(list->ctx, i, &labels, &value))
            continue;
        blob_append_byte(&labels, '\0');
        out->failed |= labels.failed;
        if (out->failed)
            break;
        render_name(family, "", labels.data, out);
        render_double(value, out);
    }
    blob_free(&labels);
}

static void render_series(const struct family *family,
                          const struct series *series,
                          enum metrics_format format, struct blob *out)
{
    switch (series->kind) {
    case SERIES_COUNTER:
        render_name(family, "", series->labels, out);
        blob_printf(out, "%llu\n",
                    (unsigned long long)counter_read(series->counter));
        break;
    case SERIES_GAUGE:
        render_name(family, "", series->labels, out);
        blob_printf(out, "%lld\n", (long long)gauge_read(series->gauge));
        break;
    case SERIES_HISTOGRAM:
        render_histogram(family, series, format, out);
        break;
    case SERIES_SOURCE:
        render_name(family, "", series->labels, out);
        render_double(series->source.read(series->source.ctx), out);
        break;
    case SERIES_LIST:
        render_list(family, &series->list, out);
        break;
    }
}

void metrics_render(const struct metrics *metrics, enum metrics_format format,
                    struct blob *out)
{
    assert(metrics->sealed);

    for (size_t i = 0; i < metrics->nfamilies; i++) {
        const struct family *family = &metrics->families[i];
        render_head(family, format, out);
        for (size_t j = 0; j < family->nseries; j++)
            render_series(family, &family->series[j], format, out);
    }
    if (format == METRICS_OPENMETRICS)
        blob_append_text(out, "# EOF\n");
}
