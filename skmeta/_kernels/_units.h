/* Units: location and scale of the features and of the target, learned from the rows of
 * tasks. `_units.py` specifies them.
 *
 * An array of features is stored like a row of weights (see `Layout`) and filled up with
 * zeros to whole vectors. In an array of columns, the target follows at `target_at`. */

#ifdef BLOCKS
INLINE vec where(vec_bits condition, vec v) { return (vec)(condition & (vec_bits)v); }
INLINE vec size_of(vec v)
{
    const vec sign = {-0.0, -0.0, -0.0, -0.0, -0.0, -0.0, -0.0, -0.0};
    return (vec)((vec_bits)v & ~(vec_bits)sign);
}
INLINE double sum_of(vec v) { return sum_quad(halves(v)); }

/* v**-0.5 of normal numbers, otherwise anything finite; without the long latencies of a
 * root and a division. Newton's method, from an error of 4 % and squaring it. */
INLINE vec inverse_root(vec v)
{
    const vec half = 0.5 * v;
    vec root = (vec)(0x5fe6eb50c7b537a9LL - ((vec_bits)v >> 1));
#pragma GCC unroll 4
    for (int n = 0; n < 4; n++) root = root + root * (0.5 - half * root * root);
    return root;
}

typedef float loose_floats __attribute__((vector_size(32), aligned(4), may_alias));
INLINE vec load_floats(const float *p)
{
    return __builtin_convertvector(*(const loose_floats *)p, vec);
}
#else /* vectors of one lane */
enum { LANES = 1 };
typedef double vec;
typedef int vec_bits;
INLINE vec load(const double *p) { return *p; }
INLINE vec load_floats(const float *p) { return *p; }
INLINE void store(double *p, vec v) { *p = v; }
INLINE vec where(vec_bits condition, vec v) { return condition ? v : 0.0; }
INLINE vec size_of(vec v) { return fabs(v); }
INLINE double sum_of(vec v) { return v; }
INLINE vec inverse_root(vec v) { return 1.0 / sqrt(v); }
#endif

INLINE ptrdiff_t in_vectors(ptrdiff_t n) { return (n + LANES - 1) / LANES * LANES; }

/* How parameters are stored: a row of weights for every output, and the intercepts. */
typedef struct {
    ptrdiff_t n_outputs, n_features;
    ptrdiff_t n_weights; /* per output. Features beyond whole vectors are the last ones,
                          * and what is between them and the others is zero. */
    ptrdiff_t width;     /* from one row of weights to the next */
    ptrdiff_t intercept, step; /* of output k: intercept + k * step */
} Layout;

/* Features that stand in a row of weights where they stand in a row of X. */
INLINE ptrdiff_t head_of(const Layout *layout)
{
    return layout->n_features / LANES * LANES;
}

INLINE ptrdiff_t target_at(const Layout *layout) { return in_vectors(layout->n_weights); }

INLINE ptrdiff_t n_columns(const Layout *layout) { return target_at(layout) + LANES; }

/* Weighted means and sums of squared deviations, by column, of the rows so far. */
typedef struct {
    double n_rows;
    double *mean, *squares;
} Moments;

/* x -> (x - location) scale, y -> (y - offset) / unit */
typedef struct {
    double *location, *scale; /* of the features */
    double *size;  /* 1 / scale; zero where a feature has not varied */
    double *shift; /* location scale */
    double offset, unit;
} Coordinates;

/* ---- the definition of the units */

static const double NOT_VARIED = 1e-13; /* see `_units.py` */

/* Whether the targets of the rows so far tell a unit. */
static int has_varied_target(const Moments *moments, const Layout *layout)
{
    const ptrdiff_t y = target_at(layout);
    if (!(moments->n_rows > 0.0)) return 0;
    return sqrt(moments->squares[y] / moments->n_rows)
           > NOT_VARIED * fabs(moments->mean[y]);
}

/* From the moments of the features and, unless it is NULL, of the target: in these units
 * a row has a norm of about one. */
static void make_coordinates(
    Coordinates *units, const Moments *features, const Moments *target,
    const Layout *layout)
{
    const double d = (double)layout->n_features, factor = d / features->n_rows;
    const double least = NOT_VARIED * NOT_VARIED * d;
    for (ptrdiff_t j = 0; j < in_vectors(layout->n_weights); j += LANES) {
        const vec mean = load(features->mean + j);
        const vec square = load(features->squares + j) * factor; /* of the size */
        const vec_bits varied = (square > least * (mean * mean)) & (square > DBL_MIN);
        const vec scale = where(varied, inverse_root(square));
        store(units->location + j, mean);
        store(units->scale + j, scale);
        store(units->size + j, square * scale);
        store(units->shift + j, mean * scale);
    }
    units->offset = 0.0, units->unit = 1.0;
    if (!target) return;
    const ptrdiff_t y = target_at(layout);
    const double spread = sqrt(target->squares[y] / target->n_rows);
    units->offset = target->mean[y];
    if (!(spread <= NOT_VARIED * fabs(units->offset))) units->unit = spread;
}

/* ---- the rows of a task */

/* In the order in which they are visited. */
typedef struct {
    const Data *data;
    const Layout *layout;
    ptrdiff_t begin, end;
    const double *y, *weight; /* weight may be NULL */
} Rows;

/* Where a row begins in X. */
INLINE ptrdiff_t row_begin(const Rows *rows, ptrdiff_t position)
{
    return row_number(rows->data, 0, position) * rows->layout->n_features;
}

INLINE double value_at(const Matrix *X, ptrdiff_t i)
{
    return X->doubles ? X->doubles[i] : X->floats[i];
}

INLINE vec vector_at(const Matrix *X, const int single, ptrdiff_t i)
{
    return single ? load_floats(X->floats + i) : load(X->doubles + i);
}

/* What of the last vector of a row is not in a whole one. */
INLINE vec_bits tail_of(const Layout *layout)
{
#ifdef BLOCKS
    const long long first = LANES - layout->n_features % LANES;
    return (vec_bits){0, 1, 2, 3, 4, 5, 6, 7} >= first;
#else
    return layout->n_features < 0;
#endif
}

/* Processors do not see far enough ahead where the next four rows are this far away. */
enum { LONG_ROW = 256 };

INLINE void ask_for_rows(
    const Matrix *X, const int single, const ptrdiff_t begin[4], ptrdiff_t j)
{
#ifdef BLOCKS
#pragma GCC unroll 4
    for (int a = 0; a < 4; a++) {
        if (single)
            __builtin_prefetch(X->floats + begin[a] + j, 0, 2);
        else
            __builtin_prefetch(X->doubles + begin[a] + j, 0, 2);
    }
#else
    (void)X, (void)single, (void)begin, (void)j;
#endif
}

/* ---- moments of the rows of a task */

/* Weighted sums of the deviations from `center` and of their squares. */
typedef struct {
    double *center, *first, *second; /* by column */
} Deviations;

/* Of LANES features of four rows, from column j of X on. */
INLINE void add_deviations(
    Deviations *sums, const Matrix *X, const int single, const ptrdiff_t begin[4],
    const double *weight, ptrdiff_t j, ptrdiff_t at, vec_bits used)
{
    const vec center = load(sums->center + at);
    vec e[4], f[4];
#pragma GCC unroll 4
    for (int a = 0; a < 4; a++) {
        e[a] = where(used, vector_at(X, single, begin[a] + j) - center);
        f[a] = weight ? weight[a] * e[a] : e[a];
    }
    const vec first = (f[0] + f[1]) + (f[2] + f[3]);
    const vec second = (f[0] * e[0] + f[1] * e[1]) + (f[2] * e[2] + f[3] * e[3]);
    store(sums->first + at, load(sums->first + at) + first);
    store(sums->second + at, load(sums->second + at) + second);
}

INLINE void add_four_rows(
    Deviations *sums, const Rows *rows, const int single, const ptrdiff_t begin[4],
    const double *weight)
{
    const Layout *layout = rows->layout;
    const ptrdiff_t d = layout->n_features, head = head_of(layout);
    const Matrix *X = &rows->data->X;
    const vec_bits tail = tail_of(layout), all = tail | ~tail;
    for (ptrdiff_t j = 0; j < head; j += LANES) {
        if (d >= LONG_ROW) ask_for_rows(X, single, begin, j + 4 * d);
        add_deviations(sums, X, single, begin, weight, j, j, all);
    }
    if (head && head < d)
        add_deviations(sums, X, single, begin, weight, d - LANES,
                       layout->n_weights - LANES, tail);
    for (ptrdiff_t j = head ? d : 0; j < d; j++) { /* too few for a vector */
        const ptrdiff_t at = layout->n_weights - d + j;
        for (int a = 0; a < 4; a++) {
            const double e = value_at(X, begin[a] + j) - sums->center[at];
            const double f = weight ? weight[a] * e : e;
            sums->first[at] += f, sums->second[at] += f * e;
        }
    }
}

static void sum_target(Deviations *sums, const Rows *rows)
{
    const ptrdiff_t m = rows->end - rows->begin, at = target_at(rows->layout);
    const double *y = rows->y, *weight = rows->weight, center = sums->center[at];
    vec first = {0.0}, second = {0.0};
    ptrdiff_t i = 0;
    for (; i + LANES <= m; i += LANES) {
        const vec e = load(y + i) - center, f = weight ? load(weight + i) * e : e;
        first += f, second += f * e;
    }
    double rest = sum_of(first), rest_of_squares = sum_of(second);
    for (; i < m; i++) {
        const double e = y[i] - center, f = weight ? weight[i] * e : e;
        rest += f, rest_of_squares += f * e;
    }
    sums->first[at] = rest, sums->second[at] = rest_of_squares;
}

static void sum_deviations(Deviations *sums, const Rows *rows)
{
    static const double ones[4] = {1.0, 1.0, 1.0, 1.0};
    const size_t size = n_columns(rows->layout) * sizeof(double);
    const int single = !rows->data->X.doubles;
    memset(sums->first, 0, size), memset(sums->second, 0, size);
    sum_target(sums, rows);
    for (ptrdiff_t position = rows->begin; position < rows->end; position += 4) {
        const ptrdiff_t left = rows->end - position;
        ptrdiff_t begin[4];
        double part[4];
        const double *weight =
            rows->weight ? rows->weight + (position - rows->begin) : NULL;
        for (int a = 0; a < 4; a++)
            begin[a] = row_begin(rows, position + (a < left ? a : 0));
        if (left < 4) { /* rows that are missing have no weight */
            for (int a = 0; a < 4; a++)
                part[a] = a < left ? (weight ? weight : ones)[a] : 0.0;
            weight = part;
        }
        if (single)
            add_four_rows(sums, rows, 1, begin, weight);
        else if (weight)
            add_four_rows(sums, rows, 0, begin, weight);
        else
            add_four_rows(sums, rows, 0, begin, NULL);
    }
}

/* Moves the center to near the mean of these rows. */
static void find_center(Deviations *sums, const Rows *rows, double total)
{
    const Layout *layout = rows->layout;
    const ptrdiff_t d = layout->n_features, head = head_of(layout);
    const ptrdiff_t begin = row_begin(rows, rows->begin), n = n_columns(layout);
    memset(sums->center, 0, n * sizeof(double));
    for (ptrdiff_t j = 0; j < d; j++)
        sums->center[j < head ? j : layout->n_weights - d + j] =
            value_at(&rows->data->X, begin + j);
    sums->center[target_at(layout)] = rows->y[0];
    sum_deviations(sums, rows); /* exactly zero where nothing varies */
    for (ptrdiff_t j = 0; j < n; j++) sums->center[j] += sums->first[j] / total;
}

/* after = before and the rows of a task; returns whether these, and their squares, are
 * finite.
 *
 * Deviations are taken from the mean before the task where it has so many rows that
 * what cancels then is no larger than what remains. */
static int add_rows_to_moments(
    Deviations *sums, const Rows *rows, const Moments *before, Moments *after,
    int centers)
{
    const ptrdiff_t n = n_columns(rows->layout), m = rows->end - rows->begin;
    double total = (double)m;
    vec infinite = {0.0};
    if (rows->weight) {
        total = 0.0;
        for (ptrdiff_t i = 0; i < m; i++) total += rows->weight[i];
    }
    if (centers && before->n_rows >= total)
        memcpy(sums->center, before->mean, n * sizeof(double));
    else if (centers)
        find_center(sums, rows, total);
    else
        memset(sums->center, 0, n * sizeof(double));
    sum_deviations(sums, rows);

    const double share = total / (before->n_rows + total);
    const double between = total * (1.0 - share), part = centers ? 1.0 / total : 0.0;
    after->n_rows = before->n_rows + total;
    for (ptrdiff_t j = 0; j < n; j += LANES) {
        const vec first = load(sums->first + j), second = load(sums->second + j);
        const vec mean = load(before->mean + j), rest = first * part;
        const vec change = (load(sums->center + j) - mean) + rest;
        const vec inside = (second - first * rest) + change * change * between;
        const vec squares = load(before->squares + j) + inside;
        store(after->mean + j, mean + share * change);
        store(after->squares + j, squares);
        infinite += squares * 0.0; /* zero as long as everything is finite */
    }
    return sum_of(infinite) == 0.0;
}

/* ---- rows and parameters in units */

/* How rows and targets are read in units. */
typedef struct {
    const Coordinates *units;
    const Layout *layout;
} Reading;

INLINE double target_in_units(double y, const Coordinates *units)
{
    return (y - units->offset) * (1.0 / units->unit);
}

/* n rows that begin at begin[0] to begin[n - 1] of X; `out` has n_weights for each, and
 * zeros where there are no features. */
INLINE void standardize(
    double *out, const Matrix *X, const int single, const ptrdiff_t *begin, const int n,
    const Reading *reading)
{
    const double *location = reading->units->location, *scale = reading->units->scale;
    const ptrdiff_t width = reading->layout->n_weights;
    const ptrdiff_t d = reading->layout->n_features, head = head_of(reading->layout);
    for (ptrdiff_t j = 0; j < head; j += LANES) {
        const vec center = load(location + j), factor = load(scale + j);
        if (n == 4 && d >= LONG_ROW) ask_for_rows(X, single, begin, j + 4 * d);
#pragma GCC unroll 4
        for (int a = 0; a < n; a++)
            store(out + a * width + j,
                  (vector_at(X, single, begin[a] + j) - center) * factor);
    }
    if (head && head < d) { /* zero scales keep zeros */
        const ptrdiff_t at = width - LANES;
        const vec center = load(location + at), factor = load(scale + at);
#pragma GCC unroll 4
        for (int a = 0; a < n; a++)
            store(out + a * width + at,
                  (vector_at(X, single, begin[a] + d - LANES) - center) * factor);
    }
    for (ptrdiff_t j = head ? d : 0; j < d; j++) { /* too few for a vector */
        const ptrdiff_t at = width - d + j;
        for (int a = 0; a < n; a++)
            out[a * width + at] =
                (value_at(X, begin[a] + j) - location[at]) * scale[at];
    }
}

/* All rows of a task and their targets. */
static void standardize_rows(
    const Rows *rows, const Coordinates *units, double *X, double *y)
{
    const Reading reading = {units, rows->layout};
    const Matrix *from = &rows->data->X;
    for (ptrdiff_t i = 0; i < rows->end - rows->begin; i++) {
        const ptrdiff_t begin = row_begin(rows, rows->begin + i);
        if (from->doubles)
            standardize(X, from, 0, &begin, 1, &reading);
        else
            standardize(X, from, 1, &begin, 1, &reading);
        X += rows->layout->n_weights;
        y[i] = target_in_units(rows->y[i], units);
    }
}

/* The parameter that predicts in units what `raw` predicts. */
static void to_units(
    double *inside, const double *raw, const Coordinates *units, const Layout *layout)
{
    const ptrdiff_t n = layout->n_weights;
    const double *size = units->size, inverse = 1.0 / units->unit;
    for (ptrdiff_t k = 0; k < layout->n_outputs; k++) {
        const double *w = raw + k * layout->width;
        double *out = inside + k * layout->width;
        const ptrdiff_t intercept = layout->intercept + k * layout->step;
        const double at_location = raw[intercept] + dot_dense(w, units->location, n);
        ptrdiff_t j = 0;
        for (; j + LANES <= n; j += LANES)
            store(out + j, load(w + j) * load(size + j) * inverse);
        for (; j < n; j++) out[j] = w[j] * size[j] * inverse;
        inside[intercept] = (at_location - units->offset) * inverse;
    }
}

/* raw += share times a difference of two parameters in units */
static void add_displacement(
    double *raw, const double *difference, double share, const Coordinates *units,
    const Layout *layout)
{
    const ptrdiff_t n = layout->n_weights;
    const double *scale = units->scale, factor = share * units->unit;
    for (ptrdiff_t k = 0; k < layout->n_outputs; k++) {
        double *out = raw + k * layout->width;
        const double *v = difference + k * layout->width;
        const ptrdiff_t intercept = layout->intercept + k * layout->step;
        ptrdiff_t j = 0;
        for (; j + LANES <= n; j += LANES)
            store(out + j, load(out + j) + factor * (load(v + j) * load(scale + j)));
        for (; j < n; j++) out[j] += factor * (v[j] * scale[j]);
        raw[intercept] += factor
                          * (difference[intercept] - dot_dense(v, units->shift, n));
    }
}
