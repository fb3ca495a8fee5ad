/* Units: location and scale of the features and of the target, learned from the rows of
 * tasks. `_units.py` specifies them. */

/* How parameters are stored: a row of weights for every output, and the intercepts. */
typedef struct {
    ptrdiff_t n_outputs, n_features;
    ptrdiff_t head;      /* features that stand at the start of a row of weights; */
    ptrdiff_t n_weights; /* the others stand at its end, and zeros between them */
    ptrdiff_t width;     /* from one row of weights to the next */
    ptrdiff_t intercept, step; /* of output k: intercept + k * step */
} Layout;

/* Weighted means and sums of squared deviations: of the features, stored like a row of
 * weights, then, at `n_weights`, of the target. */
typedef struct {
    double n_rows;
    double *mean, *squares;
} Moments;

/* x -> (x - location) scale, y -> (y - offset) / unit */
typedef struct {
    double *location, *scale;
    double *size;  /* 1 / scale; zero where a feature has not varied */
    double *shift; /* location scale */
    double offset, unit;
} Coordinates;

/* ---- the definition of the units */

static const double NOT_VARIED = 1e-7; /* see `_units.py` */

/* From the moments of the features and, unless it is NULL, of the target: in these units
 * a row has a norm of about one. */
static void make_coordinates(
    Coordinates *units, const Moments *features, const Moments *target,
    const Layout *layout)
{
    const double *mean = features->mean, *squares = features->squares;
    const double n_rows = features->n_rows, root = sqrt((double)layout->n_features);
    double *__restrict location = units->location, *__restrict scale = units->scale;
    double *__restrict size = units->size, *__restrict shift = units->shift;
    for (ptrdiff_t j = 0; j < layout->n_weights; j++) {
        const double spread = sqrt(squares[j] / n_rows), length = spread * root;
        const double inverse = 1.0 / length;
        const int varied = (spread > NOT_VARIED * fabs(mean[j])) & (length < INFINITY);
        location[j] = mean[j];
        scale[j] = varied ? inverse : 0.0;
        size[j] = varied ? length : 0.0;
        shift[j] = location[j] * scale[j];
    }
    units->offset = 0.0, units->unit = 1.0;
    if (!target) return;
    const ptrdiff_t y = layout->n_weights;
    const double spread = sqrt(target->squares[y] / target->n_rows);
    units->offset = target->mean[y];
    if (!(spread <= NOT_VARIED * fabs(units->offset))) units->unit = spread;
}

/* ---- moments of the rows of a task */

/* Adds w e and w e**2 of the deviations e from `center` of four values per column. */
#define ADD_DEVIATIONS(TYPE)                                                          \
    static void add_deviations_of_##TYPE(                                             \
        const TYPE *const x[4], const double *w, const double *__restrict center,     \
        double *__restrict first, double *__restrict second, ptrdiff_t n)             \
    {                                                                                 \
        const TYPE *__restrict a = x[0], *__restrict b = x[1], *__restrict c = x[2];  \
        const TYPE *__restrict d = x[3];                                              \
        const double p = w[0], q = w[1], r = w[2], s = w[3];                          \
        for (ptrdiff_t j = 0; j < n; j++) {                                           \
            const double e = a[j] - center[j], f = b[j] - center[j];                  \
            const double g = c[j] - center[j], h = d[j] - center[j];                  \
            const double pe = p * e, qf = q * f, rg = r * g, sh = s * h;              \
            first[j] += (pe + qf) + (rg + sh);                                        \
            second[j] += (pe * e + qf * f) + (rg * g + sh * h);                       \
        }                                                                             \
    }                                                                                 \
    static void add_deviations_from_##TYPE(                                           \
        const TYPE *X, const ptrdiff_t *row, const double *w, const Layout *layout,   \
        const double *center, double *first, double *second)                          \
    {                                                                                 \
        const ptrdiff_t d = layout->n_features, head = layout->head;                  \
        const ptrdiff_t tail = d - head, from = layout->n_weights - tail;             \
        const TYPE *x[4] = {X + row[0] * d, X + row[1] * d, X + row[2] * d,           \
                            X + row[3] * d};                                          \
        add_deviations_of_##TYPE(x, w, center, first, second, head);                  \
        if (!tail) return;                                                            \
        for (int i = 0; i < 4; i++) x[i] += head;                                     \
        add_deviations_of_##TYPE(x, w, center + from, first + from, second + from,    \
                                 tail);                                               \
    }
ADD_DEVIATIONS(double)
ADD_DEVIATIONS(float)
#undef ADD_DEVIATIONS

/* The rows of a task, and arrays like those of `Moments` for sums over them. */
typedef struct {
    const Data *data;
    const Layout *layout;
    ptrdiff_t begin, end;
    double *center, *first, *second;
} Rows;

/* Sums of the deviations from `center` and of their squares. */
static void sum_deviations(const Rows *rows)
{
    const Data *data = rows->data;
    const ptrdiff_t y = rows->layout->n_weights;
    double *first = rows->first, *second = rows->second;
    const double *center = rows->center;
    memset(first, 0, (y + 1) * sizeof(double));
    memset(second, 0, (y + 1) * sizeof(double));
    for (ptrdiff_t position = rows->begin; position < rows->end; position += 4) {
        ptrdiff_t row[4];
        double weight[4], target[4];
        for (int a = 0; a < 4; a++) { /* rows that are missing have no weight */
            const int exists = position + a < rows->end;
            row[a] = row_number(data, 0, exists ? position + a : position);
            weight[a] = !exists ? 0.0 : data->weight ? data->weight[row[a]] : 1.0;
            target[a] = data->y[row[a]];
        }
        if (data->X.doubles)
            add_deviations_from_double(data->X.doubles, row, weight, rows->layout,
                                       center, first, second);
        else
            add_deviations_from_float(data->X.floats, row, weight, rows->layout, center,
                                      first, second);
        const double *const targets[4] = {target, target + 1, target + 2, target + 3};
        add_deviations_of_double(targets, weight, center + y, first + y, second + y, 1);
    }
}

static double sum_of_weights(const Rows *rows)
{
    const Data *data = rows->data;
    double sum = 0.0;
    if (!data->weight) return (double)(rows->end - rows->begin);
    for (ptrdiff_t position = rows->begin; position < rows->end; position++)
        sum += data->weight[row_number(data, 0, position)];
    return sum;
}

/* A row as it stands in a row of weights. */
static void copy_row(double *out, const Matrix *X, ptrdiff_t i, const Layout *layout)
{
    const ptrdiff_t d = layout->n_features, head = layout->head;
    const ptrdiff_t skip = layout->n_weights - d;
    for (ptrdiff_t j = 0; j < d; j++)
        out[j < head ? j : j + skip] = X->doubles ? X->doubles[i * d + j]
                                                  : X->floats[i * d + j];
}

static int rows_are_finite(const Rows *rows)
{
    const Matrix *X = &rows->data->X;
    const ptrdiff_t d = X->n_features;
    for (ptrdiff_t position = rows->begin; position < rows->end; position++) {
        const ptrdiff_t i = row_number(rows->data, 0, position);
        if (!isfinite(rows->data->y[i])) return 0;
        for (ptrdiff_t j = i * d; j < (i + 1) * d; j++)
            if (!(X->doubles ? isfinite(X->doubles[j]) : isfinite(X->floats[j])))
                return 0;
    }
    return 1;
}

/* Moves `center` from `mean` to near the mean of these rows. */
static void find_center(const Rows *rows, double total)
{
    const ptrdiff_t i = row_number(rows->data, 0, rows->begin);
    const ptrdiff_t y = rows->layout->n_weights;
    copy_row(rows->center, &rows->data->X, i, rows->layout);
    rows->center[y] = rows->data->y[i];
    sum_deviations(rows); /* what does not vary stays exact */
    for (ptrdiff_t j = 0; j <= y; j++) rows->center[j] += rows->first[j] / total;
}

/* after = before and the rows of a task; returns whether these are finite.
 *
 * Deviations are taken from the mean before the task where it has so many rows that
 * what cancels then is no larger than what remains. */
static int add_rows_to_moments(
    const Rows *rows, const Moments *before, Moments *after, int centers)
{
    const ptrdiff_t size = rows->layout->n_weights + 1;
    const double total = sum_of_weights(rows);
    double *__restrict center = rows->center;
    const double *__restrict first = rows->first, *__restrict second = rows->second;
    if (centers && before->n_rows >= total)
        memcpy(center, before->mean, size * sizeof(double));
    else if (centers)
        find_center(rows, total);
    else
        memset(center, 0, size * sizeof(double));
    sum_deviations(rows);

    const double share = total / (before->n_rows + total);
    const double between = total * (1.0 - share), part = centers ? 1.0 / total : 0.0;
    double *__restrict mean = after->mean, *__restrict squares = after->squares;
    double finite = 0.0;
    after->n_rows = before->n_rows + total;
    for (ptrdiff_t j = 0; j < size; j++) {
        const double rest = first[j] * part, inside = second[j] - first[j] * rest;
        const double change = (center[j] - before->mean[j]) + rest;
        finite += second[j] * 0.0;
        mean[j] = before->mean[j] + share * change;
        squares[j] = before->squares[j] + (inside + change * change * between);
    }
    if (finite == 0.0) return 1;
    if (!rows_are_finite(rows)) return 0;
    for (ptrdiff_t j = 0; j < size; j++) /* too large for a square */
        if (!isfinite(second[j])) squares[j] = INFINITY;
    return 1;
}

/* ---- rows and parameters in units */

#define STANDARDIZE(TYPE)                                                             \
    static void standardize_##TYPE(                                                   \
        double *__restrict out, const TYPE *__restrict x, const Coordinates *units,   \
        const Layout *layout)                                                         \
    {                                                                                 \
        const ptrdiff_t head = layout->head, tail = layout->n_features - head;        \
        const ptrdiff_t from = layout->n_weights - tail;                              \
        const double *__restrict location = units->location;                          \
        const double *__restrict scale = units->scale;                                \
        for (ptrdiff_t j = 0; j < head; j++)                                          \
            out[j] = (x[j] - location[j]) * scale[j];                                 \
        for (ptrdiff_t j = 0; j < tail; j++)                                          \
            out[from + j] = (x[head + j] - location[from + j]) * scale[from + j];     \
    }
STANDARDIZE(double)
STANDARDIZE(float)
#undef STANDARDIZE

/* Features and targets in units, in the order in which they are visited. The zeros
 * between features are left as they are. */
static void standardize_rows(
    const Rows *rows, const Coordinates *units, double *X, double *y)
{
    const Data *data = rows->data;
    const ptrdiff_t d = rows->layout->n_features;
    for (ptrdiff_t position = rows->begin; position < rows->end; position++) {
        const ptrdiff_t i = row_number(data, 0, position);
        if (data->X.doubles)
            standardize_double(X, data->X.doubles + i * d, units, rows->layout);
        else
            standardize_float(X, data->X.floats + i * d, units, rows->layout);
        *y++ = (data->y[i] - units->offset) / units->unit;
        X += rows->layout->n_weights;
    }
}

/* The parameter that predicts in units what `raw` predicts. */
static void to_units(
    double *inside, const double *raw, const Coordinates *units, const Layout *layout)
{
    const ptrdiff_t n = layout->n_weights;
    const double *__restrict size = units->size, inverse = 1.0 / units->unit;
    for (ptrdiff_t k = 0; k < layout->n_outputs; k++) {
        const double *__restrict w = raw + k * layout->width;
        double *__restrict out = inside + k * layout->width;
        const ptrdiff_t intercept = layout->intercept + k * layout->step;
        const double at_location = raw[intercept] + dot_dense(w, units->location, n);
        for (ptrdiff_t j = 0; j < n; j++) out[j] = w[j] * size[j] * inverse;
        inside[intercept] = (at_location - units->offset) * inverse;
    }
}

/* raw += share times a difference of two parameters in units */
static void add_displacement(
    double *raw, const double *difference, double share, const Coordinates *units,
    const Layout *layout)
{
    const ptrdiff_t n = layout->n_weights;
    const double *__restrict scale = units->scale, factor = share * units->unit;
    for (ptrdiff_t k = 0; k < layout->n_outputs; k++) {
        double *__restrict out = raw + k * layout->width;
        const double *__restrict v = difference + k * layout->width;
        const ptrdiff_t intercept = layout->intercept + k * layout->step;
        for (ptrdiff_t j = 0; j < n; j++) out[j] += factor * (v[j] * scale[j]);
        raw[intercept] += factor
                          * (difference[intercept] - dot_dense(v, units->shift, n));
    }
}
