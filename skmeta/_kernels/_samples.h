/* One task, one sample at a time: any update, any step, CSR; and what the loop in
 * blocks shares with it. Parameters are (n_outputs, n_features + 1), the intercept
 * last. */

/* The rest of a loss is at most 1, but a product of many would overflow: then its
 * logarithm goes to the value. */
INLINE void merge_rest(double *rest, double other, double *value)
{
    *rest += other * (1.0 + *rest);
    if (*rest > 1e100) {
        *value += log1p(*rest);
        *rest = 0.0;
    }
}

/* ---- one row: n values at x, in columns `column` (NULL: the first n) */

typedef struct {
    const double *x;
    const int *column;
    ptrdiff_t n;
} Row;

INLINE ptrdiff_t row_number(const Data *data, ptrdiff_t n_pass, ptrdiff_t position)
{
    if (!data->order) return position;
    return data->order[(n_pass % data->n_orders) * data->X.n_rows + position];
}

/* Single precision is converted row by row, into `buffer`. */
INLINE Row row_at(const Matrix *X, ptrdiff_t i, double *buffer)
{
    ptrdiff_t begin = X->indices ? X->indptr[i] : i * X->n_features;
    Row row = {NULL, NULL, X->n_features};
    if (X->indices) {
        row.column = X->indices + begin;
        row.n = X->indptr[i + 1] - begin;
    }
    if (X->doubles) {
        row.x = X->doubles + begin;
    } else {
        for (ptrdiff_t j = 0; j < row.n; j++) buffer[j] = X->floats[begin + j];
        row.x = buffer;
    }
    return row;
}

/* Stored values of row i, or -1 where `indptr` leads out of the stored values. */
INLINE ptrdiff_t row_length(const Matrix *X, ptrdiff_t i)
{
    if (!X->indices) return X->n_features;
    const ptrdiff_t begin = X->indptr[i], end = X->indptr[i + 1];
    return 0 <= begin && begin <= end && end <= X->n_stored ? end - begin : -1;
}

/* The longest row from one position to another, at least the number of features; -1
 * where a row number or `indptr` leads out of X. */
static ptrdiff_t longest_row(const Data *data, ptrdiff_t begin, ptrdiff_t end)
{
    const Matrix *X = &data->X;
    ptrdiff_t longest = X->n_features;
    for (ptrdiff_t n_pass = 0; data->order && n_pass < data->n_orders; n_pass++)
        for (ptrdiff_t position = begin; position < end; position++) {
            const ptrdiff_t i = row_number(data, n_pass, position);
            if (i < 0 || i >= X->n_rows) return -1;
        }
    for (ptrdiff_t n_pass = 0; X->indices && n_pass < data->n_orders; n_pass++)
        for (ptrdiff_t position = begin; position < end; position++) {
            const ptrdiff_t n = row_length(X, row_number(data, n_pass, position));
            if (n < 0) return -1;
            if (n > longest) longest = n;
        }
    return longest;
}

/* Whether the columns of n stored values are features. */
INLINE int are_columns(const int *columns, ptrdiff_t n, ptrdiff_t n_features)
{
    unsigned bad = 0;
    for (ptrdiff_t j = 0; j < n; j++)
        bad |= (unsigned)columns[j] >= (unsigned)n_features;
    return !bad;
}

/* The same of all rows of a task, just before they are read again. */
static int columns_fit(const Data *data, ptrdiff_t begin, ptrdiff_t end)
{
    const Matrix *X = &data->X;
    if (!X->indices) return 1;
    if (!data->order) {
        const ptrdiff_t from = X->indptr[begin];
        return are_columns(X->indices + from, X->indptr[end] - from, X->n_features);
    }
    for (ptrdiff_t n_pass = 0; n_pass < data->n_orders; n_pass++)
        for (ptrdiff_t position = begin; position < end; position++) {
            const ptrdiff_t i = row_number(data, n_pass, position);
            const ptrdiff_t n = X->indptr[i + 1] - X->indptr[i];
            if (!are_columns(X->indices + X->indptr[i], n, X->n_features)) return 0;
        }
    return 1;
}

/* In several strands, to keep the processor busy; always in the same order. */
INLINE double dot_dense(const double *x, const double *w, ptrdiff_t n)
{
    double a = 0.0, b = 0.0, c = 0.0, d = 0.0;
    ptrdiff_t j = 0;
#ifdef BLOCKS
    vec p = {0}, q = {0}, r = {0}, s = {0};
    for (; j + 4 * LANES <= n; j += 4 * LANES) {
        p += load(x + j) * load(w + j);
        q += load(x + j + LANES) * load(w + j + LANES);
        r += load(x + j + 2 * LANES) * load(w + j + 2 * LANES);
        s += load(x + j + 3 * LANES) * load(w + j + 3 * LANES);
    }
    for (; j + LANES <= n; j += LANES) p += load(x + j) * load(w + j);
    if (n >= LANES) a = sum_quad(halves((p + q) + (r + s)));
#endif
    for (; j + 4 <= n; j += 4) {
        a += x[j] * w[j];
        b += x[j + 1] * w[j + 1];
        c += x[j + 2] * w[j + 2];
        d += x[j + 3] * w[j + 3];
    }
    for (; j < n; j++) a += x[j] * w[j];
    return (a + b) + (c + d);
}

INLINE double dot_sparse(
    const double *x, const int *column, ptrdiff_t n, const double *w, double *norm)
{
    double a = 0.0, b = 0.0, c = 0.0, d = 0.0, p = 0.0, q = 0.0, r = 0.0, s = 0.0;
    ptrdiff_t j = 0;
    for (; j + 4 <= n; j += 4) {
        a += x[j] * w[column[j]], p += x[j] * x[j];
        b += x[j + 1] * w[column[j + 1]], q += x[j + 1] * x[j + 1];
        c += x[j + 2] * w[column[j + 2]], r += x[j + 2] * x[j + 2];
        d += x[j + 3] * w[column[j + 3]], s += x[j + 3] * x[j + 3];
    }
    for (; j < n; j++) a += x[j] * w[column[j]], p += x[j] * x[j];
    if (norm) *norm = (p + q) + (r + s);
    return (a + b) + (c + d);
}

INLINE double dot(Row row, const double *w)
{
    return row.column ? dot_sparse(row.x, row.column, row.n, w, NULL)
                      : dot_dense(row.x, w, row.n);
}

/* Together they wait for memory once. */
INLINE double dot_and_norm(Row row, const double *w, double *norm)
{
    if (row.column) return dot_sparse(row.x, row.column, row.n, w, norm);
    *norm = dot_dense(row.x, row.x, row.n);
    return dot_dense(row.x, w, row.n);
}

/* sum_j scale_j x_j**2 */
INLINE double scaled_norm(Row row, const double *scale)
{
    double sum = 0.0;
    for (ptrdiff_t j = 0; j < row.n; j++)
        sum += row.x[j] * row.x[j] * scale[row.column ? row.column[j] : j];
    return sum;
}

/* w_j += a scale_j x_j; scale NULL: all ones */
INLINE void add_row(double *w, double a, const double *scale, Row row)
{
    const double *x = row.x;
    const int *column = row.column;
    ptrdiff_t j, n = row.n;
    if (!column && !scale)
        for (j = 0; j < n; j++) w[j] += a * x[j];
    else if (!column)
        for (j = 0; j < n; j++) w[j] += a * scale[j] * x[j];
    else if (!scale)
        for (j = 0; j < n; j++) w[column[j]] += a * x[j];
    else
        for (j = 0; j < n; j++) w[column[j]] += a * scale[column[j]] * x[j];
}

INLINE void add_squares(double *w, double a, Row row)
{
    for (ptrdiff_t j = 0; j < row.n; j++)
        w[row.column ? row.column[j] : j] += a * row.x[j] * row.x[j];
}

INLINE double square_sum(const double *v, ptrdiff_t n) { return dot_dense(v, v, n); }

static int all_finite(const double *v, ptrdiff_t n)
{
    for (ptrdiff_t j = 0; j < n; j++)
        if (!isfinite(v[j])) return 0;
    return 1;
}

static void project(double *theta, ptrdiff_t size, double radius)
{
    double norm = sqrt(square_sum(theta, size));
    if (norm > radius)
        for (ptrdiff_t j = 0; j < size; j++) theta[j] *= radius / norm;
}

/* ---- exponentiated gradient: theta is the difference of two positive parts */

/* Without an intercept it has no parts: their logarithms are -infinity and stay so. */
static void difference(double *theta, const double *logs, ptrdiff_t size, double radius)
{
    double total = 0.0, most = logs[0];
    for (ptrdiff_t j = 0; j < 2 * size; j++) most = logs[j] > most ? logs[j] : most;
    for (ptrdiff_t j = 0; j < size; j++) {
        double up = exp(logs[j] - most), down = exp(logs[size + j] - most);
        total += up + down;
        theta[j] = up - down;
    }
    for (ptrdiff_t j = 0; j < size; j++) theta[j] *= radius / total;
}

static void split(double *theta, double *logs, ptrdiff_t size, const Inner *inner)
{
    const ptrdiff_t K = inner->n_outputs, width = size / K;
    const ptrdiff_t n_entries = inner->bias == 0.0 ? size - K : size;
    double slack = inner->radius, least = inner->min_slack * inner->radius;
    for (ptrdiff_t j = 0; j < size; j++) slack -= fabs(theta[j]);
    double even = 0.5 * (slack < least ? least : slack) / (double)n_entries;
    for (ptrdiff_t j = 0; j < size; j++) {
        logs[j] = log((theta[j] > 0 ? theta[j] : 0.0) + even);
        logs[size + j] = log((theta[j] < 0 ? -theta[j] : 0.0) + even);
    }
    for (ptrdiff_t k = 1; inner->bias == 0.0 && k <= K; k++)
        logs[k * width - 1] = logs[size + k * width - 1] = -INFINITY;
    difference(theta, logs, size, inner->radius);
}

static void exponentiate(
    double *theta, double *logs, const double *change, ptrdiff_t size, double radius)
{
    for (ptrdiff_t j = 0; j < size; j++) {
        logs[j] += change[j];
        logs[size + j] -= change[j];
    }
    difference(theta, logs, size, radius);
}

/* ---- one task */

/* One task of either loop; what `average` holds is said at `sums_steps`. */
typedef struct {
    ptrdiff_t begin, end;
    const double *eta;
    int per_coordinate;
    double *theta;
    double *average;   /* zero on entry, or NULL */
    double *losses;    /* by row, or NULL */
    double *grad_sq;   /* like eta; added to */
    double total_loss; /* of the first pass; added to */
} Task;

INLINE double target_of(double y, ptrdiff_t k, ptrdiff_t n_outputs)
{
    return n_outputs == 1 ? y : y == (double)k ? 1.0 : -1.0;
}

/* The number that a loss is a function of. */
INLINE double argument(const enum LossArgument of, double target, double z)
{
    return of == OF_MARGIN ? target * z : of == OF_SCORE ? z : z - target;
}

/* The weighted norm of the longest row of a task. */
static double longest_norm(
    const Data *data, const Task *task, double bias, double *buffer)
{
    double longest = 0.0;
    for (ptrdiff_t position = task->begin; position < task->end; position++) {
        const ptrdiff_t i = row_number(data, 0, position);
        const Row row = row_at(&data->X, i, buffer);
        double norm = sqrt(square_sum(row.x, row.n) + bias * bias);
        if (data->weight) norm *= data->weight[i];
        if (!(norm <= longest)) longest = norm;
    }
    return longest;
}

/* ---- the iterate of an update */

typedef struct {
    double *theta;
    double *moving; /* what a step is added to, see `make_iterate` */
    double *start;  /* COIN, LTL */
    double *logs;   /* EG */
    double unit;    /* COIN: a gradient over it is a coin, of norm at most one */
    double gain;    /* of the bets on the coins so far */
    double share;   /* theta = start + share * sum of coins */
} Iterate;

/* Steps are added to theta, to the point before projection (FTRL, LTL), to changes of
 * logarithms (EG) or to the sum of coins (COIN). */
static Iterate make_iterate(
    const Data *data, const Inner *inner, const Task *task, ptrdiff_t size,
    double *scratch, double *buffer)
{
    double *theta = task->theta;
    Iterate iterate = {theta, theta, scratch + size, scratch + size, 1.0, 0.0, 0.0};
    if (inner->update < FTRL || (inner->update == FTRL && !isfinite(inner->radius)))
        return iterate;
    iterate.moving = scratch;
    if (inner->update == EG) {
        split(theta, iterate.logs, size, inner);
        return iterate;
    }
    memcpy(iterate.moving, theta, size * sizeof(double));
    if (inner->update == FTRL) return iterate;
    memcpy(iterate.start, theta, size * sizeof(double));
    if (inner->update == COIN) {
        const double longest = longest_norm(data, task, inner->bias, buffer);
        memset(iterate.moving, 0, size * sizeof(double));
        if (longest > 0.0)
            iterate.unit = longest * sqrt((double)inner->n_outputs) / task->eta[0];
    }
    return iterate;
}

/* Theta after the steps of a sample, the n-th one of tasks of m. */
static void finish_step(
    Iterate *iterate, const Inner *inner, ptrdiff_t size, double n, double m)
{
    double *theta = iterate->theta;
    const double *moving = iterate->moving, *start = iterate->start;
    if (inner->update == EG) {
        exponentiate(theta, iterate->logs, moving, size, inner->radius);
        return;
    }
    if (inner->update == COIN) {
        iterate->share = (1.0 + iterate->gain) / (n + 1.0);
        for (ptrdiff_t j = 0; j < size; j++)
            theta[j] = start[j] + iterate->share * moving[j];
        return;
    }
    if (inner->update == LTL)
        for (ptrdiff_t j = 0; j < size; j++)
            theta[j] = start[j] + m / n * (moving[j] - start[j]);
    else if (moving != theta)
        memcpy(theta, moving, size * sizeof(double));
    if (isfinite(inner->radius)) project(theta, size, inner->radius);
}

/* The mean iterate is theta_end - sum_i i (theta_{i+1} - theta_i) / n. While nothing is
 * projected, `average` holds that sum, which costs one more update per sample, on its
 * features only; otherwise it holds the mean iterate itself. */
INLINE int sums_steps(const Inner *inner)
{
    return !isfinite(inner->radius) && inner->update <= FTRL;
}

static ptrdiff_t samples_scratch(const Inner *inner, ptrdiff_t size)
{
    return 2 * inner->n_outputs + (inner->update >= FTRL ? 3 * size : 0);
}

/* Trains `task->theta`; returns whether every score and loss is finite. `scratch` has
 * the size `samples_scratch`, `buffer` that of the longest row. */
static int learn_samples(
    const Data *data, const Inner *inner, Task *task, double *scratch, double *buffer)
{
    const ptrdiff_t K = inner->n_outputs, d = data->X.n_features, size = K * (d + 1);
    const int lazy = sums_steps(inner), is_coin = inner->update == COIN;
    const double bias = inner->bias, p = inner->parameter;
    const enum LossCode loss = inner->loss;
    const enum LossArgument of = argument_of(loss);
    const double n_rows = (double)(task->end - task->begin);
    const double largest_slope = (1.0 + 1e-12) / task->eta[0]; /* COIN */
    double *theta = task->theta, *average = task->average;
    double *slopes = scratch, *scores = scratch + K;
    Iterate iterate = make_iterate(data, inner, task, size, scratch + 2 * K, buffer);
    double *moving = iterate.moving;
    double total = 0.0, total_rest = 0.0;
    ptrdiff_t n_steps = 0;
    for (ptrdiff_t n_pass = 0; n_pass < inner->max_iter; n_pass++) {
        for (ptrdiff_t position = task->begin; position < task->end; position++) {
            const ptrdiff_t i = row_number(data, n_pass, position);
            const Row row = row_at(&data->X, i, buffer);
            const double y = data->y[i];
            const double weight = data->weight ? data->weight[i] : 1.0;
            double norm, value = 0.0, rest = 0.0;
            slopes[0] = dot_and_norm(row, theta, &norm);
            norm += bias * bias;
            for (ptrdiff_t k = 0; k < K; k++) {
                const double *w = theta + k * (d + 1);
                double target = target_of(y, k, K);
                double z = (k ? dot(row, w) : slopes[0]) + bias * w[d];
                double s = argument(of, target, z);
                Loss_double at = loss_at_double(loss, p, target, s);
                if (!isfinite(s)) return 0;
                if (is_coin && !(fabs(at.slope) <= largest_slope)) return 0;
                value += at.value;
                merge_rest(&rest, at.rest, &value);
                slopes[k] = at.slope;
                scores[k] = s;
            }
            if (!isfinite(weight * value) || !isfinite(y)) return 0;
            if (n_pass == 0) {
                if (weight != 1.0 || task->losses) {
                    value = weight * (value + log1p(rest));
                    rest = 0.0;
                }
                total += value;
                merge_rest(&total_rest, rest, &total);
                if (task->losses) task->losses[i] = value;
                for (ptrdiff_t k = 0; k < K; k++) {
                    double square = weight * slopes[k] * weight * slopes[k];
                    if (task->per_coordinate) {
                        double *sums = task->grad_sq + k * (d + 1);
                        add_squares(sums, square, row);
                        sums[d] += square * bias * bias;
                    } else {
                        task->grad_sq[0] += square * norm;
                    }
                }
            }
            if (average && !lazy)
                for (ptrdiff_t j = 0; j < size; j++) average[j] += theta[j];
            n_steps++;
            if (inner->update == EG) memset(moving, 0, size * sizeof(double));
            for (ptrdiff_t k = 0; k < K; k++) {
                const double *scale = task->per_coordinate ? task->eta + k * (d + 1)
                                                           : NULL;
                double slope = weight * slopes[k];
                if (inner->update == IMPLICIT) {
                    double q = scale ? scaled_norm(row, scale) + scale[d] * bias * bias
                                     : task->eta[0] * norm;
                    if (q > 0)
                        slope = proximal_slope_double(loss, p, target_of(y, k, K),
                                                      scores[k], q, weight, slopes[k]);
                }
                double change = of == OF_MARGIN ? -slope * target_of(y, k, K) : -slope;
                double *step_to = moving + k * (d + 1);
                if (is_coin) {
                    const double along = dot(row, step_to) + bias * step_to[d];
                    change /= iterate.unit;
                    iterate.gain += change * iterate.share * along;
                } else if (!scale) {
                    change *= task->eta[0];
                }
                add_row(step_to, change, scale, row);
                step_to[d] += change * (scale ? scale[d] * bias : bias);
                if (average && lazy) {
                    double *sums = average + k * (d + 1);
                    change *= (double)n_steps;
                    add_row(sums, change, scale, row);
                    sums[d] += change * (scale ? scale[d] * bias : bias);
                }
            }
            if (!lazy) finish_step(&iterate, inner, size, (double)n_steps, n_rows);
        }
    }
    task->total_loss += total + log1p(total_rest);
    if (average && !lazy)
        for (ptrdiff_t j = 0; j < size; j++) average[j] /= (double)n_steps;
    return 1;
}
