/* The loops of `_logistic.h`, compiled once for each instruction set as KERNEL. */
#include <math.h>
#include <string.h>

#include "_logistic.h"
#include "_expected_loss.h"
#include "_small_matrices.h"

#define CURVATURE_FLOOR 1e-12
#define CONVERGED 1e-7
#define ROUNDING 1e-12
#define SHORT_STEP 1.0
enum { MAX_STEPS = 100, MAX_HALVINGS = 40, BLOCK = 64 };

/* A task; the logistic rows come first, then the held ones. */
typedef struct {
    const LogisticProblem *in;
    ptrdiff_t t, p, r, n, m; /* logistic rows, all rows */
    ptrdiff_t size;          /* coordinates of x: r, or m in the dual form */
    ptrdiff_t cap, filled;   /* rows that W has room for; first row in it, or -1 */
    int is_dual, is_finite;
    const double *line;
    ptrdiff_t *source; /* of a column of the root with one entry; NULL: any root */
    double *W, *raw, *units;
    double *level, *scores, *variance, *weights, *curvature, *residual; /* (m,) */
    double *move, *trial, *previous, *target, *coef;                    /* (m,) */
    double *sign, *weight;           /* (m,): of the outcomes, of the rows */
    double *x, *step, *pull, *spare; /* (size,) */
    double *H, *V, *G;               /* U of the precision, its inverse; W W' of the dual form */
    double *triangle, *stack, *row;
} Task;

enum { ROW_ARRAYS = 13, SIZE_ARRAYS = 4 };

static ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static ptrdiff_t larger(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

static ptrdiff_t rows_kept(ptrdiff_t longest, ptrdiff_t r)
{
    return smaller(longest, larger(r, BLOCK));
}

static ptrdiff_t scratch_size(ptrdiff_t longest, ptrdiff_t d, ptrdiff_t r)
{
    const ptrdiff_t p = d + 1, dual = smaller(longest, r);
    return rows_kept(longest, r) * r + 4 * (p + 1) + ROW_ARRAYS * longest
           + SIZE_ARRAYS * r + 2 * r * r + dual * dual + (p + 1) * (p + 1)
           + BLOCK * (p + 1);
}

static void lay_out(Task *s, ptrdiff_t longest, double *at)
{
    const ptrdiff_t p = s->p, r = s->r, dual = smaller(longest, r);
    s->cap = rows_kept(longest, r);
    s->W = at, at += s->cap * r;
    s->raw = at, at += p + 1;
    s->units = at, at += p + 1;
    s->row = at, at += p + 1;
    s->source = (ptrdiff_t *)at, at += p + 1;
    double **of_rows[ROW_ARRAYS] = {
        &s->level,    &s->scores, &s->variance, &s->weights, &s->curvature,
        &s->residual, &s->move,   &s->trial,    &s->previous, &s->target,
        &s->coef,     &s->sign, &s->weight};
    for (int i = 0; i < ROW_ARRAYS; i++, at += longest)
        *of_rows[i] = at;
    double **of_size[SIZE_ARRAYS] = {&s->x, &s->step, &s->pull, &s->spare};
    for (int i = 0; i < SIZE_ARRAYS; i++, at += r)
        *of_size[i] = at;
    s->H = at, at += r * r;
    s->V = at, at += r * r;
    s->G = at, at += dual * dual;
    s->triangle = at, at += (p + 1) * (p + 1);
    s->stack = at;
}

/* ---- rows */

static inline ptrdiff_t sample(const Task *s, ptrdiff_t i)
{
    const ptrdiff_t at = s->in->starts[s->t] + i;
    return s->in->order ? s->in->order[at] : at;
}

/* raw <- [x - origin, 1], or a held row with its target. */
static void read_raw(Task *s, ptrdiff_t i)
{
    const LogisticProblem *in = s->in;
    const ptrdiff_t d = in->d;
    if (i >= s->n) {
        const ptrdiff_t at = s->t * in->n_held + (i - s->n);
        memcpy(s->raw, in->held + at * (s->p + 1), (s->p + 1) * sizeof(double));
        return;
    }
    const ptrdiff_t at = sample(s, i) * d;
    if (in->doubles)
        for (ptrdiff_t j = 0; j < d; j++)
            s->raw[j] = in->doubles[at + j] - in->origin[j];
    else
        for (ptrdiff_t j = 0; j < d; j++)
            s->raw[j] = in->floats[at + j] - in->origin[j];
    s->raw[d] = 1.0;
}

static void read_units(Task *s, ptrdiff_t i)
{
    const LogisticProblem *in = s->in;
    read_raw(s, i);
    const double one = s->raw[in->d];
    for (ptrdiff_t j = 0; j < in->d; j++)
        s->units[j] = (s->raw[j] - one * in->mean[j]) * in->scale[j];
    s->units[in->d] = one * in->bias;
}

/* w <- root'b */
static void whiten(const Task *s, double *restrict w)
{
    const ptrdiff_t r = s->r;
    const double *root = s->in->root;
    if (s->source) {
        for (ptrdiff_t c = 0; c < r; c++)
            w[c] = s->units[s->source[c]] * root[s->source[c] * r + c];
        return;
    }
    memset(w, 0, r * sizeof(double));
    for (ptrdiff_t j = 0; j < s->p; j++)
        add(w, s->units[j], root + j * r, r);
}

static void find_sources(Task *s)
{
    const double *root = s->in->root;
    for (ptrdiff_t c = 0; c < s->r; c++) {
        ptrdiff_t entries = 0;
        for (ptrdiff_t j = 0; j < s->p; j++)
            if (root[j * s->r + c] != 0.0) {
                entries++;
                s->source[c] = j;
            }
        if (entries == 0)
            s->source[c] = 0;
        if (entries > 1) {
            s->source = NULL;
            return;
        }
    }
}

/* The rows of W from `first`, and how many there are. */
static ptrdiff_t fill(Task *s, ptrdiff_t first)
{
    const ptrdiff_t n = s->m - first < s->cap ? s->m - first : s->cap;
    if (s->filled != first)
        for (ptrdiff_t i = 0; i < n; i++) {
            read_units(s, first + i);
            whiten(s, s->W + i * s->r);
        }
    s->filled = first;
    return n;
}

/* Level and first scores of every row; W, where it has room for all. */
static void open_task(Task *s)
{
    const double *theta = s->in->parameters + s->t * s->p;
    double check = 0.0;
    s->is_dual = s->m < s->r;
    s->size = s->is_dual ? s->m : s->r;
    s->filled = s->m <= s->cap ? 0 : -1;
    for (ptrdiff_t i = 0; i < s->m; i++) {
        read_units(s, i);
        s->level[i] = dot(s->units, s->line, s->p);
        s->scores[i] = dot(s->units, theta, s->p);
        check += 0.0 * s->level[i]; /* NaN if any of the row is not finite */
        s->variance[i] = 0.0;
        if (i < s->n) {
            const ptrdiff_t at = sample(s, i);
            s->variance[i] = s->in->variances[at];
            s->sign[i] = s->in->y[at] > 0.5 ? 1.0 : -1.0;
            s->weight[i] = s->in->weight ? s->in->weight[at] : 1.0;
        }
        if (s->filled == 0)
            whiten(s, s->W + i * s->r);
    }
    s->is_finite = check == 0.0;
}

static inline double held_target(const Task *s, ptrdiff_t i)
{
    const ptrdiff_t row = s->t * s->in->n_held + (i - s->n);
    return s->in->held[row * (s->p + 1) + s->p];
}

/* Derivatives in the scores, at these scores and variances; returns the sum of the
 * expected losses. */
static double differentiate(Task *s, const double *scores)
{
    double sum = 0.0;
    for (ptrdiff_t i = 0; i < s->n; i += LANES) {
        const ptrdiff_t n = smaller(s->n - i, LANES);
        four mean = all(0.0), variance = all(0.0);
        for (ptrdiff_t j = 0; j < n; j++) {
            mean[j] = -s->sign[i + j] * scores[i + j];
            variance[j] = s->variance[i + j];
        }
        const Expected e = expect_loss(mean, variance);
        for (ptrdiff_t j = 0; j < n; j++) {
            const double weight = s->weight[i + j], bend = e.curvature[j];
            sum += weight * e.loss[j];
            s->residual[i + j] = weight * s->sign[i + j] * e.slope[j];
            s->curvature[i + j] =
                weight * (bend > CURVATURE_FLOOR ? bend : CURVATURE_FLOOR);
        }
    }
    for (ptrdiff_t i = s->n; i < s->m; i++) {
        const double rest = held_target(s, i) - scores[i];
        sum += 0.5 * (rest * rest + s->variance[i]);
        s->residual[i] = rest;
        s->curvature[i] = 1.0;
    }
    return sum;
}

/* ---- steps: a = x, or a = W'x in as many coordinates as there are rows */

static void prepare(Task *s)
{
    if (!s->is_dual)
        return;
    for (ptrdiff_t i = 0; i < s->m; i++)
        for (ptrdiff_t j = 0; j <= i; j++)
            s->G[i * s->m + j] = s->G[j * s->m + i] =
                dot(s->W + i * s->r, s->W + j * s->r, s->r);
}

/* H <- U of I + W'KW, or of I + K^1/2 G K^1/2, K = weights; returns log det U. */
static double factor(Task *s)
{
    const ptrdiff_t size = s->size;
    if (s->is_dual) {
        for (ptrdiff_t i = 0; i < size; i++) {
            s->coef[i] = sqrt(s->weights[i]);
            for (ptrdiff_t j = 0; j <= i; j++)
                s->H[j * size + i] = s->coef[i] * s->coef[j] * s->G[i * size + j];
        }
    } else {
        memset(s->H, 0, size * size * sizeof(double));
        for (ptrdiff_t first = 0, n; first < s->m; first += n) {
            n = fill(s, first);
            add_products(s->H, s->weights + first, s->W, n, size);
        }
    }
    for (ptrdiff_t i = 0; i < size; i++)
        s->H[i * size + i] += 1.0;
    const double log_det = cholesky(s->H, size);
    invert(s->V, s->H, size);
    return log_det;
}

/* The variances of the scores under the precision that was factored. */
static void find_variances(Task *s)
{
    const ptrdiff_t size = s->size;
    if (s->is_dual) {
        for (ptrdiff_t i = 0; i < size; i++) {
            for (ptrdiff_t j = 0; j < size; j++)
                s->step[j] = s->coef[j] * s->G[i * size + j];
            turn(s->spare, s->V, s->step, size);
            const double rest = s->G[i * size + i] - dot(s->spare, s->spare, size);
            s->variance[i] = rest > 0.0 ? rest : 0.0;
        }
        return;
    }
    for (ptrdiff_t first = 0, n; first < s->m; first += n) {
        n = fill(s, first);
        for (ptrdiff_t i = 0; i < n; i++) {
            turn(s->spare, s->V, s->W + i * size, size);
            s->variance[first + i] = dot(s->spare, s->spare, size);
        }
    }
}

/* pull <- the gradient in x */
static void find_pull(Task *s)
{
    if (s->is_dual)
        memcpy(s->pull, s->residual, s->m * sizeof(double));
    else {
        memset(s->pull, 0, s->r * sizeof(double));
        for (ptrdiff_t first = 0, n; first < s->m; first += n) {
            n = fill(s, first);
            for (ptrdiff_t i = 0; i < n; i++)
                add(s->pull, s->residual[first + i], s->W + i * s->r, s->r);
        }
    }
    add(s->pull, -1.0, s->x, s->size);
}

/* step <- inv(precision) pull times `by`, move <- W step; returns pull'step. */
static double find_step(Task *s, double by)
{
    const ptrdiff_t size = s->size;
    double decrement = 0.0;
    if (s->is_dual) {
        for (ptrdiff_t i = 0; i < size; i++)
            s->step[i] = s->coef[i] * dot(s->G + i * size, s->pull, size);
        solve_factored(s->V, s->step, s->spare, size);
        for (ptrdiff_t i = 0; i < size; i++)
            s->step[i] = by * (s->pull[i] - s->coef[i] * s->step[i]);
        for (ptrdiff_t i = 0; i < size; i++) {
            s->move[i] = dot(s->G + i * size, s->step, size);
            decrement += s->pull[i] * s->move[i];
        }
        return decrement;
    }
    memcpy(s->step, s->pull, size * sizeof(double));
    solve_factored(s->V, s->step, s->spare, size);
    for (ptrdiff_t j = 0; j < size; j++)
        s->step[j] *= by;
    for (ptrdiff_t first = 0, n; first < s->m; first += n) {
        n = fill(s, first);
        for (ptrdiff_t i = 0; i < n; i++)
            s->move[first + i] = dot(s->W + i * s->r, s->step, s->r);
    }
    return dot(s->pull, s->step, size);
}

/* |a|^2 at x + step; the scores there are `trial`. */
static double length_after(const Task *s)
{
    double sum = 0.0;
    for (ptrdiff_t i = 0; i < s->size; i++) {
        const double x = s->x[i] + s->step[i];
        sum += x * (s->is_dual ? s->trial[i] - s->level[i] : x);
    }
    return sum;
}

/* Go along the step under the precision that was factored; returns the bound there. */
static double try_step(Task *s, double log_det)
{
    for (ptrdiff_t i = 0; i < s->m; i++)
        s->trial[i] = s->scores[i] + s->move[i];
    double value = length_after(s) + 2.0 * log_det;
    for (ptrdiff_t i = 0; i < s->m; i++)
        value -= s->weights[i] * s->variance[i];
    return 0.5 * value + differentiate(s, s->trial);
}

static void take_step(Task *s)
{
    add(s->x, 1.0, s->step, s->size);
    memcpy(s->scores, s->trial, s->m * sizeof(double));
}

static double begin_at_prior(Task *s)
{
    memset(s->x, 0, s->size * sizeof(double));
    memset(s->weights, 0, s->m * sizeof(double));
    memcpy(s->scores, s->level, s->m * sizeof(double));
    for (ptrdiff_t first = 0, n; first < s->m; first += n) {
        n = fill(s, first);
        for (ptrdiff_t i = 0; i < n; i++)
            s->variance[first + i] = dot(s->W + i * s->r, s->W + i * s->r, s->r);
    }
    return differentiate(s, s->scores);
}

/* The first step, from the scores and variances that the task was opened with. Where it
 * is long and leads to no better a point than the prior, the steps begin there. */
static double begin(Task *s)
{
    double longest = 0.0;
    memset(s->x, 0, s->size * sizeof(double));
    differentiate(s, s->scores);
    memcpy(s->weights, s->curvature, s->m * sizeof(double));
    memcpy(s->target, s->scores, s->m * sizeof(double));
    for (ptrdiff_t i = 0; i < s->m; i++)
        s->residual[i] += s->weights[i] * (s->scores[i] - s->level[i]);
    const double log_det = factor(s);
    find_variances(s);
    find_pull(s);
    find_step(s, 1.0);
    memcpy(s->scores, s->level, s->m * sizeof(double));
    const double there = try_step(s, log_det);
    take_step(s);
    for (ptrdiff_t i = 0; i < s->m; i++)
        longest = fmax(longest, fabs(s->scores[i] - s->target[i]));
    if (longest < SHORT_STEP)
        return there;
    memcpy(s->pull, s->x, s->size * sizeof(double));
    memcpy(s->previous, s->weights, s->m * sizeof(double));
    const double here = begin_at_prior(s);
    if (here < there)
        return here;
    memcpy(s->x, s->pull, s->size * sizeof(double));
    memcpy(s->scores, s->trial, s->m * sizeof(double));
    memcpy(s->weights, s->previous, s->m * sizeof(double));
    find_variances(s);
    differentiate(s, s->scores);
    return there;
}

/* A step of size `by`: of the mean, and of the precision towards the curvatures. */
static double attempt(Task *s, double by, double *decrement)
{
    for (ptrdiff_t i = 0; i < s->m; i++)
        s->weights[i] = (1.0 - by) * s->previous[i] + by * s->target[i];
    const double log_det = factor(s);
    find_variances(s);
    *decrement = find_step(s, by);
    return try_step(s, log_det);
}

/* Leaves scores, variances and derivatives at the optimum; returns the bound. */
static double optimise(Task *s, ptrdiff_t *n_steps)
{
    prepare(s);
    double value = begin(s);
    for (*n_steps = 1; *n_steps < MAX_STEPS; ++*n_steps) {
        memcpy(s->previous, s->weights, s->m * sizeof(double));
        memcpy(s->target, s->curvature, s->m * sizeof(double));
        find_pull(s);
        const double limit = value + ROUNDING * (1.0 + fabs(value));
        double by = 1.0, decrement, there = attempt(s, by, &decrement);
        for (int i = 0; i < MAX_HALVINGS && !(there <= limit); i++)
            there = attempt(s, by *= 0.5, &decrement);
        if (!(there <= limit))
            memset(s->step, 0, s->size * sizeof(double));
        take_step(s);
        const double gain = value - there;
        value = there;
        if (!(gain + decrement > CONVERGED))
            break;
    }
    return value;
}

/* ---- what a task becomes */

static void write_row(Task *s, ptrdiff_t i, double *out)
{
    const ptrdiff_t p = s->p;
    const double size = sqrt(s->curvature[i]);
    read_raw(s, i);
    for (ptrdiff_t j = 0; j < p; j++)
        out[j] = size * s->raw[j];
    out[p] = size * s->scores[i] + s->residual[i] / size;
}

static void write_factor(Task *s)
{
    const ptrdiff_t k = s->in->k, width = s->p + 1;
    double *out = s->in->factors + s->t * k * width;
    if (s->n <= k) {
        for (ptrdiff_t i = 0; i < s->n; i++)
            write_row(s, i, out + i * width);
        memset(out + s->n * width, 0, (k - s->n) * width * sizeof(double));
        return;
    }
    memset(s->triangle, 0, width * width * sizeof(double));
    for (ptrdiff_t first = 0; first < s->n; first += BLOCK) {
        const ptrdiff_t n = smaller(s->n - first, BLOCK);
        for (ptrdiff_t i = 0; i < n; i++)
            write_row(s, first + i, s->stack + i * width);
        triangulate(s->triangle, s->stack, n, width, s->row);
    }
    memcpy(out, s->triangle, width * width * sizeof(double));
    memset(out + width * width, 0, (k - width) * width * sizeof(double));
}

static void solve_task(Task *s, double *value, ptrdiff_t *n_steps)
{
    const LogisticProblem *in = s->in;
    open_task(s);
    if (!s->is_finite) {
        *value = NAN, *n_steps = 0;
        for (ptrdiff_t i = 0; i < in->k * (s->p + 1); i++)
            in->factors[s->t * in->k * (s->p + 1) + i] = NAN;
        return;
    }
    *value = optimise(s, n_steps);
    const double *a = s->x;
    if (s->is_dual) {
        memset(s->step, 0, s->r * sizeof(double));
        for (ptrdiff_t i = 0; i < s->m; i++)
            add(s->step, s->x[i], s->W + i * s->r, s->r);
        a = s->step;
    }
    double *theta = in->parameters + s->t * s->p;
    for (ptrdiff_t j = 0; j < s->p; j++)
        theta[j] = s->line[j] + dot(in->root + j * s->r, a, s->r);
    for (ptrdiff_t i = 0; i < s->n; i++)
        in->variances[sample(s, i)] = s->variance[i];
    write_factor(s);
}

static void solve_tasks(const LogisticProblem *problem, ptrdiff_t first, ptrdiff_t last,
                        ptrdiff_t longest, double *scratch, double *values,
                        ptrdiff_t *n_steps)
{
    Task s = {.in = problem, .p = problem->d + 1, .r = problem->r};
    lay_out(&s, longest, scratch);
    find_sources(&s);
    for (s.t = first; s.t < last; s.t++) {
        s.line = problem->lines + s.t * s.p;
        s.n = problem->starts[s.t + 1] - problem->starts[s.t];
        s.m = s.n + problem->n_held;
        solve_task(&s, values + s.t, n_steps + s.t);
    }
}

const LogisticKernel KERNEL = {scratch_size, solve_tasks};
