/* The minimiser of the losses of all rows so far. `_row_leader.py` specifies it.
 *
 * The state is one array: `n_counts` numbers, then the arrays of `Leader` in order. The
 * sums of products are those of z = (features, 1, response), less the reference; only
 * the upper triangle is kept. Their rows are filled up to whole vectors. */

static const double DIGITS_LOST = 1e-7; /* see `_row_leader.py` */
static const double GROWTH = 0.05, ROWS_PER_COEFFICIENT = 0.125;
enum { HALVINGS = 30, WHOLE = 8, ROWS_TOGETHER = 16, PIVOTS = 4 };

typedef struct {
    double *n_rows, *due_at, *solved_at, *best; /* counts */
    double *spread, *powers;                    /* of the target */
    double *losses;                             /* by penalty */
    double *reference;                          /* of z */
    double *origin;                             /* a parameter */
    double *candidates;                         /* a parameter by penalty */
    double *sums;                               /* by output */
} Leader;

INLINE ptrdiff_t in_whole_vectors(ptrdiff_t n) { return (n + WHOLE - 1) / WHOLE * WHOLE; }

INLINE ptrdiff_t leader_stride(const RowsRule *rule)
{
    return in_whole_vectors(rule->n_features + 2);
}

INLINE ptrdiff_t parameter_size(const RowsRule *rule)
{
    return rule->n_outputs * (rule->n_features + 1);
}

static ptrdiff_t leader_size(const RowsRule *rule)
{
    const ptrdiff_t stride = leader_stride(rule), P = rule->n_penalties;
    return 8 + P + rule->n_features + 2 + (1 + P) * parameter_size(rule)
           + rule->n_outputs * stride * stride;
}

static Leader leader_at(const RowsRule *rule, double *state)
{
    Leader leader = {state, state + 1, state + 2, state + 3, state + 4, state + 5,
                     state + 8, NULL, NULL, NULL, NULL};
    leader.reference = leader.losses + rule->n_penalties;
    leader.origin = leader.reference + rule->n_features + 2;
    leader.candidates = leader.origin + parameter_size(rule);
    leader.sums = leader.candidates + rule->n_penalties * parameter_size(rule);
    return leader;
}

/* Of `observe_rows` and of `solve_leader`. */
static ptrdiff_t leader_scratch(const RowsRule *rule)
{
    const ptrdiff_t d = rule->n_features, stride = leader_stride(rule);
    const ptrdiff_t n = (rule->n_penalties * rule->n_outputs + 3) / 4 * 4;
    const ptrdiff_t observe = (n + 2 * ROWS_TOGETHER) * stride
                              + (n + 2 * rule->n_outputs) * ROWS_TOGETHER + d;
    const ptrdiff_t solve = 2 * stride * stride + 8 * stride;
    return observe > solve ? observe : solve;
}

static void start_leader(const RowsRule *rule, Leader *leader, const double *origin)
{
    const size_t size = parameter_size(rule) * sizeof(double);
    memcpy(leader->origin, origin, size);
    for (ptrdiff_t p = 0; p < rule->n_penalties; p++)
        memcpy(leader->candidates + p * parameter_size(rule), origin, size);
}

/* ---- the target */

static double find_spread(const Leader *leader)
{
    const double weight = leader->powers[0], total = leader->powers[1];
    const double variance = (leader->powers[2] - total * total / weight) / weight;
    return variance > 0.0 ? sqrt(variance) : 0.0;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, ptrdiff_t n)
{
    qsort(values, (size_t)n, sizeof(double), compare);
    return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

INLINE double feature(const Data *data, ptrdiff_t position, ptrdiff_t j)
{
    const Matrix *X = &data->X;
    const ptrdiff_t at = row_number(data, 0, position) * X->n_features + j;
    return X->doubles ? X->doubles[at] : X->floats[at];
}

/* The medians of the first rows. */
static enum Outcome find_reference(
    const Data *data, ptrdiff_t begin, ptrdiff_t end, const RowsRule *rule,
    Leader *leader)
{
    const ptrdiff_t d = rule->n_features, m = end - begin;
    double *values = malloc((size_t)m * sizeof(double));
    if (!values) return NO_MEMORY;
    for (ptrdiff_t j = 0; j < d; j++) {
        for (ptrdiff_t i = 0; i < m; i++) values[i] = feature(data, begin + i, j);
        leader->reference[j] = median(values, m);
    }
    if (rule->is_scaled) {
        for (ptrdiff_t i = 0; i < m; i++)
            values[i] = data->y[row_number(data, 0, begin + i)];
        leader->reference[d + 1] = median(values, m);
    }
    free(values);
    return FINITE;
}

/* ---- parabolas */

INLINE double slope_at(const RowsRule *rule, double target, double z)
{
    const enum LossArgument of = argument_of(rule->loss);
    const double s = argument(of, target, z);
    const double slope = loss_at_double(rule->loss, rule->parameter, target, s).slope;
    return of == OF_MARGIN ? target * slope : slope;
}

/* A curvature for which the response is not beyond the minimum. */
static double steepened(
    const RowsRule *rule, double target, double z, double slope, double curvature)
{
    double near = 0.0, far = slope == 0.0 ? 0.0 : slope / curvature;
    if (!(slope_at(rule, target, z - far) * slope < 0.0)) return curvature;
    for (int n = 0; n < HALVINGS; n++) {
        const double middle = 0.5 * (near + far);
        if (slope_at(rule, target, z - middle) * slope < 0.0)
            far = middle;
        else
            near = middle;
    }
    return slope / far;
}

/* The curvature at score z; `slope` is that in z. */
static double parabola(
    const RowsRule *rule, double spread, double target, double z, double slope)
{
    const double s = argument(argument_of(rule->loss), target, z);
    double curvature = curvature_double(rule->loss, rule->parameter, target, s);
    if (rule->is_quadratic) return curvature;
    const int is_scaled = rule->is_scaled && spread > 0.0;
    const double longest = rule->longest * (is_scaled ? spread : 1.0);
    const double least = fabs(slope) / longest;
    if (!(curvature >= least)) curvature = least;
    return rule->is_steep ? steepened(rule, target, z, slope, curvature) : curvature;
}

/* ---- rows */

/* out[q] = z.c_q for four candidates, `stride` apart. */
INLINE void four_scores(
    double *out, const double *z, const double *candidates, ptrdiff_t stride)
{
#ifdef BLOCKS
    vec a = {0}, b = {0}, c = {0}, e = {0};
    for (ptrdiff_t j = 0; j < stride; j += LANES) {
        const vec x = load(z + j);
        a += x * load(candidates + j);
        b += x * load(candidates + stride + j);
        c += x * load(candidates + 2 * stride + j);
        e += x * load(candidates + 3 * stride + j);
    }
    store_quad(out, sum_each(a, b, c, e));
#else
    for (int q = 0; q < 4; q++)
        out[q] = dot_dense(z, candidates + q * stride, stride);
#endif
}

/* sums += sum of outer(weighted row, row), row by row in every entry, so that calls can
 * be split. */
INLINE void add_upper_products(
    double *sums, const double *weighted, const double *z, ptrdiff_t n_rows,
    ptrdiff_t size, ptrdiff_t stride)
{
    for (ptrdiff_t i = 0; i < size; i += PIVOTS)
        for (ptrdiff_t j = i / LANES * LANES; j < stride; j += LANES) {
            double *at = sums + i * stride + j;
            vec a = load(at), b = load(at + stride);
            vec c = load(at + 2 * stride), e = load(at + 3 * stride);
            for (ptrdiff_t r = 0; r < n_rows; r++) {
                const double *w = weighted + r * stride + i;
                const vec x = load(z + r * stride + j);
                a += w[0] * x, b += w[1] * x, c += w[2] * x, e += w[3] * x;
            }
            store(at, a), store(at + stride, b);
            store(at + 2 * stride, c), store(at + 3 * stride, e);
        }
}

/* Candidates as multipliers of z, filled up with zeros to fours. */
static void read_candidates(
    const RowsRule *rule, const Leader *leader, double *candidates)
{
    const ptrdiff_t d = rule->n_features, stride = leader_stride(rule);
    const ptrdiff_t n = rule->n_penalties * rule->n_outputs;
    for (ptrdiff_t q = 0; q < n; q++) {
        const double *theta = leader->candidates + q * (d + 1);
        double *out = candidates + q * stride;
        memcpy(out, theta, d * sizeof(double));
        out[d] = rule->bias * theta[d] + dot_dense(theta, leader->reference, d);
    }
}

/* Adds one row: its losses, and what `steps` needs of the parabolas: weights and
 * responses by output. */
INLINE void judge_row(
    const RowsRule *rule, Leader *leader, double y, double weight, double before,
    const double *scores, double *weights, double *responses)
{
    const ptrdiff_t K = rule->n_outputs, d = rule->n_features;
    const enum LossArgument of = argument_of(rule->loss);
    const double *present = scores + (ptrdiff_t)*leader->best * K;
    for (ptrdiff_t p = 0; p < rule->n_penalties; p++) {
        double value = 0.0, rest = 0.0;
        for (ptrdiff_t k = 0; k < K; k++) {
            const double target = target_of(y, k, K);
            const double s = argument(of, target, scores[p * K + k]);
            const Loss_double at = loss_at_double(rule->loss, rule->parameter, target, s);
            value += at.value;
            merge_rest(&rest, at.rest, &value);
        }
        if (has_rest(rule->loss)) value += log1p(rest);
        leader->losses[p] += before * weight * value;
    }
    for (ptrdiff_t k = 0; k < K; k++) {
        const double target = target_of(y, k, K), z = present[k];
        const double slope = slope_at(rule, target, z);
        const double curvature = parabola(rule, *leader->spread, target, z, slope);
        responses[k] = z - leader->reference[d + 1];
        if (slope != 0.0) responses[k] -= slope / curvature;
        weights[k] = weight * curvature;
    }
}

/* Adds rows, all of them finite and dense. */
static enum Outcome observe_rows(
    const Data *data, ptrdiff_t begin, ptrdiff_t end, const RowsRule *rule,
    double *state, double *scratch)
{
    const ptrdiff_t d = rule->n_features, K = rule->n_outputs;
    const ptrdiff_t stride = leader_stride(rule), n = rule->n_penalties * K;
    const ptrdiff_t n_scores = (n + 3) / 4 * 4;
    double *candidates = scratch, *z = candidates + n_scores * stride;
    double *weighted = z + ROWS_TOGETHER * stride;
    double *scores = weighted + ROWS_TOGETHER * stride;
    double *weights = scores + ROWS_TOGETHER * n_scores;
    double *responses = weights + ROWS_TOGETHER * K;
    double *buffer = responses + ROWS_TOGETHER * K;
    Leader leader = leader_at(rule, state);
    const int is_first = *leader.n_rows == 0.0;
    if (is_first && rule->bias != 0.0
        && find_reference(data, begin, end, rule, &leader) < 0)
        return NO_MEMORY;
    for (ptrdiff_t position = begin; position < end; position++) {
        const ptrdiff_t i = row_number(data, 0, position);
        const double weight = data->weight ? data->weight[i] : 1.0;
        const double deviation = data->y[i] - leader.reference[d + 1];
        leader.powers[0] += weight;
        leader.powers[1] += weight * deviation;
        leader.powers[2] += weight * (deviation * deviation);
    }
    if (*leader.spread == 0.0) *leader.spread = find_spread(&leader);
    memset(candidates, 0, (n_scores + 2 * ROWS_TOGETHER) * stride * sizeof(double));
    read_candidates(rule, &leader, candidates);
    for (ptrdiff_t first = begin; first < end; first += ROWS_TOGETHER) {
        const ptrdiff_t left = end - first;
        const ptrdiff_t n_rows = left < ROWS_TOGETHER ? left : ROWS_TOGETHER;
        for (ptrdiff_t r = 0; r < n_rows; r++) {
            const ptrdiff_t i = row_number(data, 0, first + r);
            const double weight = data->weight ? data->weight[i] : 1.0;
            const Row row = row_at(&data->X, i, buffer);
            double *out = z + r * stride;
            for (ptrdiff_t j = 0; j < d; j++) out[j] = row.x[j] - leader.reference[j];
            out[d] = 1.0, out[d + 1] = 0.0;
            for (ptrdiff_t q = 0; q < n; q += 4)
                four_scores(scores + r * n_scores + q, out, candidates + q * stride,
                            stride);
            judge_row(rule, &leader, data->y[i], weight, *leader.n_rows,
                      scores + r * n_scores, weights + r * K, responses + r * K);
            *leader.n_rows += 1.0;
        }
        for (ptrdiff_t k = 0; k < K; k++) {
            for (ptrdiff_t r = 0; r < n_rows; r++) {
                const double weight = weights[r * K + k];
                double *row = z + r * stride, *out = weighted + r * stride;
                row[d + 1] = responses[r * K + k];
                for (ptrdiff_t j = 0; j < stride; j++) out[j] = weight * row[j];
            }
            add_upper_products(leader.sums + k * stride * stride, weighted, z, n_rows,
                               d + 2, stride);
        }
    }
    return FINITE;
}

/* ---- the solution */

/* U of U' D^-1 U = A, the upper triangle of a symmetric matrix, in place. All pivots are
 * at least `least`, but for rounding. Four rows at a time are taken from those below. */
static void eliminate(double *A, ptrdiff_t n, ptrdiff_t stride, double least)
{
    for (ptrdiff_t first = 0; first < n; first += PIVOTS) {
        const ptrdiff_t last = first + PIVOTS < n ? first + PIVOTS : n;
        double inverse[PIVOTS] = {0.0};
        const double *pivots[PIVOTS];
        for (ptrdiff_t i = first; i < last; i++) {
            double *row = A + i * stride;
            for (ptrdiff_t h = first; h < i; h++) {
                const double *restrict above = A + h * stride;
                const double factor = above[i] * inverse[h - first];
                for (ptrdiff_t j = i; j < n; j++) row[j] -= factor * above[j];
            }
            if (row[i] < least) row[i] = least;
            inverse[i - first] = 1.0 / row[i];
        }
        for (ptrdiff_t c = 0; c < PIVOTS; c++)
            pivots[c] = A + (first + c < last ? first + c : first) * stride;
        for (ptrdiff_t i = last; i < n; i++) {
            double *restrict row = A + i * stride;
            const double *restrict a = pivots[0], *restrict b = pivots[1];
            const double *restrict c = pivots[2], *restrict e = pivots[3];
            const double f = a[i] * inverse[0], g = b[i] * inverse[1];
            const double h = c[i] * inverse[2], q = e[i] * inverse[3];
            for (ptrdiff_t j = i; j < n; j++)
                row[j] -= (f * a[j] + g * b[j]) + (h * c[j] + q * e[j]);
        }
    }
}

/* x = inv(U' D^-1 U) x */
static void solve_eliminated(const double *U, double *x, ptrdiff_t n, ptrdiff_t stride)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        const double *row = U + i * stride, factor = x[i] / row[i];
        for (ptrdiff_t j = i + 1; j < n; j++) x[j] -= factor * row[j];
        x[i] = factor;
    }
    for (ptrdiff_t i = n - 1; i >= 0; i--) {
        const double *row = U + i * stride;
        x[i] -= dot_dense(row + i + 1, x + i + 1, n - i - 1) / row[i];
    }
}

/* Moves the candidates of output k, which are at the origin. */
static void solve_output(
    const RowsRule *rule, const Leader *leader, ptrdiff_t k, double *scratch)
{
    const ptrdiff_t d = rule->n_features, stride = leader_stride(rule);
    const double *sums = leader->sums + k * stride * stride;
    const double *ones = sums + d * stride, weight = ones[d];
    const double *origin = leader->origin + k * (d + 1);
    const double response = rule->bias * ones[d + 1] / weight;
    double *matrix = scratch, *system = matrix + stride * stride;
    double *mean = system + stride * stride, *size = mean + stride;
    double *right = size + stride, *x = right + stride, *start = x + stride;
    double *column = start + stride; /* numbers of the features that varied */
    ptrdiff_t n = 0;
    for (ptrdiff_t j = 0; j < d; j++) {
        mean[j] = rule->bias * sums[j * stride + d] / weight;
        const double square = sums[j * stride + j] - weight * (mean[j] * mean[j]);
        const double spread = sqrt((square > 0.0 ? square : 0.0) / weight);
        if (!(spread > DIGITS_LOST * fabs(mean[j]))) continue;
        if (!(spread > NOT_VARIED * fabs(mean[j] + leader->reference[j]))
            || isinf(spread)) /* its squares are too large to be added */
            continue;
        const double pull = sums[j * stride + d + 1] - weight * response * mean[j];
        size[n] = spread, column[n] = (double)j;
        right[n] = pull / spread, start[n] = origin[j] * spread;
        n++;
    }
    for (ptrdiff_t a = 0; a < n; a++) {
        const ptrdiff_t i = (ptrdiff_t)column[a];
        const double *row = sums + i * stride, factor = weight * mean[i];
        for (ptrdiff_t b = a; b < n; b++) {
            const ptrdiff_t j = (ptrdiff_t)column[b];
            matrix[a * stride + b] = (row[j] - factor * mean[j]) / (size[a] * size[b]);
        }
    }
    for (ptrdiff_t a = 0; a < n; a++)
        for (ptrdiff_t b = 0; b < n; b++)
            right[a] -= matrix[a < b ? a * stride + b : b * stride + a] * start[b];
    for (ptrdiff_t p = 0; p < rule->n_penalties; p++) {
        double *theta = leader->candidates + (p * rule->n_outputs + k) * (d + 1);
        const double strength = rule->penalties[p] * (weight / leader->powers[0]);
        for (ptrdiff_t a = 0; a < n; a++) {
            memcpy(system + a * stride + a, matrix + a * stride + a,
                   (n - a) * sizeof(double));
            system[a * stride + a] += strength;
        }
        memcpy(x, right, n * sizeof(double));
        eliminate(system, n, stride, strength);
        solve_eliminated(system, x, n, stride);
        for (ptrdiff_t a = 0; a < n; a++) theta[(ptrdiff_t)column[a]] += x[a] / size[a];
        if (rule->bias == 0.0) continue;
        theta[d] = response + leader->reference[d + 1];
        for (ptrdiff_t j = 0; j < d; j++)
            theta[d] -= theta[j] * (mean[j] + leader->reference[j]);
    }
}

static void solve_leader(const RowsRule *rule, double *state, double *scratch)
{
    const ptrdiff_t stride = leader_stride(rule), d = rule->n_features;
    Leader leader = leader_at(rule, state);
    start_leader(rule, &leader, leader.origin);
    for (ptrdiff_t k = 0; k < rule->n_outputs; k++)
        if (leader.sums[(k * stride + d) * stride + d] > 0.0)
            solve_output(rule, &leader, k, scratch);
    *leader.best = 0.0;
    for (ptrdiff_t p = 1; p < rule->n_penalties; p++)
        if (leader.losses[p] < leader.losses[(ptrdiff_t)*leader.best])
            *leader.best = (double)p;
    *leader.spread = find_spread(&leader);
    const double n_rows = *leader.solved_at = *leader.n_rows;
    const double more = ROWS_PER_COEFFICIENT * (double)(d + 2) / n_rows;
    *leader.due_at = ceil((1.0 + (more > GROWTH ? more : GROWTH)) * n_rows);
}

/* Where the next tasks start: the minimiser for the best penalty. */
static const double *leading(const RowsRule *rule, double *state)
{
    const Leader leader = leader_at(rule, state);
    return leader.candidates + (ptrdiff_t)*leader.best * parameter_size(rule);
}
