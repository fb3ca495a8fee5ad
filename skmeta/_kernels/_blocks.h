/* One task of dense rows, in blocks of four samples.
 *
 * A step of one size without projection adds a multiple u_i of x_i to a row of weights.
 * So the score of sample i is w.x_i + sum_{e<i} u_e (x_e.x_i + bias**2), with w from
 * the start of the block: four samples share one pass over the weights for their scores
 * and one for their updates, and four outputs share the loads of the samples. The
 * diagonal of the Gram matrix serves the proximal step and the squared gradients.
 */

/* A parameter in padded form: a row of `padded` weights per output, the outputs beyond
 * one filled up to fours, then the intercepts. A row ends like an incomplete vector of
 * features, so that both can be multiplied lane by lane. Padding is zero. */
typedef struct {
    ptrdiff_t n_features, n_outputs;
    ptrdiff_t width;  /* of a row of X, at least LANES */
    ptrdiff_t whole;  /* features in whole vectors */
    ptrdiff_t padded; /* `width` rounded up to whole vectors */
    ptrdiff_t n_rows; /* of weights */
    ptrdiff_t intercepts, size;
    vec_bits last; /* lanes of the last vector that are not in a whole one */
} Shape;

INLINE ptrdiff_t in_fours(ptrdiff_t n) { return (n + 3) / 4 * 4; }

static Shape make_shape(ptrdiff_t n_features, ptrdiff_t n_outputs)
{
    Shape shape = {.n_features = n_features, .n_outputs = n_outputs};
    shape.width = n_features > LANES ? n_features : LANES;
    shape.whole = shape.width / LANES * LANES;
    shape.padded = (shape.width + LANES - 1) / LANES * LANES;
    shape.n_rows = n_outputs == 1 ? 1 : in_fours(n_outputs);
    shape.intercepts = shape.n_rows * shape.padded;
    shape.size = shape.intercepts + in_fours(n_outputs);
    for (ptrdiff_t k = 0; k < LANES; k++)
        shape.last[k] = k >= shape.padded - shape.width ? -1 : 0;
    return shape;
}

/* Features at the head of a row of weights; the others stand at its end. */
INLINE ptrdiff_t in_whole(const Shape *shape)
{
    return shape->n_features < LANES ? 0 : shape->whole;
}

static void pack(double *padded, const double *theta, const Shape *shape)
{
    ptrdiff_t d = shape->n_features, head = in_whole(shape), tail = d - head;
    for (ptrdiff_t k = 0; k < shape->n_outputs; k++) {
        double *w = padded + k * shape->padded;
        memcpy(w, theta, head * sizeof(double));
        memcpy(w + shape->padded - tail, theta + head, tail * sizeof(double));
        padded[shape->intercepts + k] = theta[d];
        theta += d + 1;
    }
}

static void unpack(double *theta, const double *padded, const Shape *shape)
{
    ptrdiff_t d = shape->n_features, head = in_whole(shape), tail = d - head;
    for (ptrdiff_t k = 0; k < shape->n_outputs; k++) {
        const double *w = padded + k * shape->padded;
        memcpy(theta, w, head * sizeof(double));
        memcpy(theta + head, w + shape->padded - tail, tail * sizeof(double));
        theta[d] = padded[shape->intercepts + k];
        theta += d + 1;
    }
}

typedef struct {
    const double *x[4]; /* `width` values each */
    double y[4];
    double weight[4];
    ptrdiff_t row[4], begin[4]; /* in X */
    ptrdiff_t n;     /* samples; those that are missing repeat the first */
    ptrdiff_t ahead; /* from a value to the one to ask memory for, or 0 */
    double gram[12]; /* see `gram_at`, then the diagonal; bias included */
} Block;

INLINE double gram_at(const Block *block, int i, int j)
{
    return block->gram[i == j ? 8 + i : j * (j - 1) / 2 + i]; /* i <= j */
}

static ptrdiff_t blocks_scratch(const Shape *shape)
{
    return 4 * (shape->width + in_fours(shape->n_outputs));
}

/* To `buffers`, whose leading values are zero. */
static void copy_rows(
    Block *block, const Matrix *X, const Shape *shape, double *buffers)
{
    const ptrdiff_t d = shape->n_features;
    for (int a = 0; a < 4; a++, buffers += shape->width) {
        double *x = buffers + shape->width - d;
        const ptrdiff_t begin = block->begin[a];
        block->x[a] = buffers;
        if (X->doubles)
            for (ptrdiff_t j = 0; j < d; j++) x[j] = X->doubles[begin + j];
        else
            for (ptrdiff_t j = 0; j < d; j++) x[j] = X->floats[begin + j];
    }
}

/* To `buffers`, in units. */
INLINE void standardize_block(
    Block *block, const Matrix *X, const Shape *shape, const Reading *reading,
    double *buffers)
{
#pragma GCC unroll 4
    for (int a = 0; a < 4; a++) {
        block->y[a] = target_in_units(block->y[a], reading->units);
        block->x[a] = buffers + a * shape->width;
    }
    if (X->doubles)
        standardize(buffers, X, 0, block->begin, 4, reading);
    else
        standardize(buffers, X, 1, block->begin, 4, reading);
}

/* Rows in units, in single precision, and those that fill no vector, are copied. */
INLINE void fetch(
    Block *block, const Data *data, ptrdiff_t n_pass, ptrdiff_t position,
    const Task *task, const Shape *shape, const Reading *reading, double *buffers)
{
    const Matrix *X = &data->X;
    const ptrdiff_t left = task->end - position, d = X->n_features;
    block->n = left < 4 ? left : 4;
    if (!data->order && left >= 4) { /* sums, as multiplied vectors of integers are slow */
        ptrdiff_t begin = position * d;
        for (int a = 0; a < 4; a++, begin += d)
            block->row[a] = position + a, block->begin[a] = begin;
        store_quad(block->y, load_quad(data->y + position));
    } else {
        for (int a = 0; a < 4; a++) {
            block->row[a] = row_number(data, n_pass, position + (a < block->n ? a : 0));
            block->begin[a] = block->row[a] * d;
            block->y[a] = data->y[block->row[a]];
        }
    }
    if (data->weight)
        for (int a = 0; a < 4; a++) block->weight[a] = data->weight[block->row[a]];
    if (reading) {
        standardize_block(block, X, shape, reading, buffers);
        return;
    }
    if (X->doubles && d >= LANES) {
        const double *x = X->doubles + block->begin[0];
        for (int a = 0; a < 4; a++, x += d)
            block->x[a] = data->order || left < 4 ? X->doubles + block->begin[a] : x;
        block->ahead = !data->order && left >= 8 && d >= LONG_ROW ? 4 * d : 0;
        return;
    }
    copy_rows(block, X, shape, buffers);
}

/* ---- passes over the features */

typedef struct {
    vec e[4];
} Four;

INLINE Four load_four(const Block *block, const Shape *shape, ptrdiff_t j)
{
    Four four;
    const ptrdiff_t from = j < shape->whole ? j : shape->width - LANES;
#pragma GCC unroll 4
    for (int a = 0; a < 4; a++) {
        four.e[a] = load(block->x[a] + from);
        if (j >= shape->whole)
            four.e[a] = (vec)((vec_bits)four.e[a] & shape->last);
    }
    return four;
}

INLINE void ask_ahead(const Block *block, ptrdiff_t j)
{
#pragma GCC unroll 4
    for (int a = 0; a < 4; a++)
        __builtin_prefetch(block->x[a] + block->ahead + j, 0, 2);
}

INLINE void gram_step(vec g[10], Four x)
{
    g[0] += x.e[0] * x.e[1], g[1] += x.e[0] * x.e[2], g[2] += x.e[1] * x.e[2];
    g[3] += x.e[0] * x.e[3], g[4] += x.e[1] * x.e[3], g[5] += x.e[2] * x.e[3];
    g[6] += x.e[0] * x.e[0], g[7] += x.e[1] * x.e[1], g[8] += x.e[2] * x.e[2];
    g[9] += x.e[3] * x.e[3];
}

INLINE void keep_gram(Block *block, const vec g[10], double bias)
{
    const double one = bias * bias;
    store_quad(block->gram, sum_each(g[0], g[1], g[2], g[3]) + one);
    store_quad(block->gram + 4, sum_each(g[4], g[5], g[4], g[5]) + one);
    store_quad(block->gram + 8, sum_each(g[6], g[7], g[8], g[9]) + one);
}

INLINE void score_step(
    vec *z, Four x, const double *w, ptrdiff_t padded, const int rows)
{
#pragma GCC unroll 4
    for (int c = 0; c < rows; c++) {
        const vec v = load(w + c * padded);
#pragma GCC unroll 4
        for (int a = 0; a < 4; a++) z[a * rows + c] += x.e[a] * v;
    }
}

/* Calls STEP(Four x, ptrdiff_t j) for every vector of features. */
#define EACH_VECTOR(block, shape, STEP)                                       \
    do {                                                                      \
        ptrdiff_t j = 0;                                                      \
        for (; j < (shape)->whole; j += LANES) {                              \
            const Four x = load_four(block, shape, j);                        \
            STEP;                                                             \
        }                                                                     \
        if (j < (shape)->padded) {                                            \
            const Four x = load_four(block, shape, j);                        \
            STEP;                                                             \
        }                                                                     \
    } while (0)

/* Gram matrix; returns the scores without intercept of the samples. */
INLINE quad score_one_output(
    Block *block, const Shape *shape, const double *w, double bias)
{
    vec z[4] = {{0}}, g[10] = {{0}};
    EACH_VECTOR(block, shape, {
        if (block->ahead) ask_ahead(block, j);
        score_step(z, x, w + j, 0, 1);
        gram_step(g, x);
    });
    keep_gram(block, g, bias);
    return sum_each(z[0], z[1], z[2], z[3]);
}

/* The same of several outputs; the score of sample a and output k is at a * n + k. */
INLINE void score_outputs(
    Block *block, const Shape *shape, const double *w, double bias, double *scores)
{
    const ptrdiff_t padded = shape->padded, n = shape->n_rows;
    vec g[10] = {{0}};
    EACH_VECTOR(block, shape, gram_step(g, x));
    keep_gram(block, g, bias);
    for (ptrdiff_t k = 0; k < n; k += 4, w += 4 * padded) {
        vec z[16] = {{0}};
        EACH_VECTOR(block, shape, score_step(z, x, w + j, padded, 4));
#pragma GCC unroll 4
        for (int a = 0; a < 4; a++)
            store_quad(scores + a * n + k, sum_each(z[4 * a], z[4 * a + 1],
                                                    z[4 * a + 2], z[4 * a + 3]));
    }
}

INLINE void update_step(
    Four x, double *w, ptrdiff_t padded, const double *changes, ptrdiff_t n,
    const int rows)
{
#pragma GCC unroll 4
    for (int c = 0; c < rows; c++) {
        /* in the order in which the changes become known */
        vec v = load(w + c * padded) + x.e[0] * changes[c];
        v += x.e[1] * changes[n + c];
        v += x.e[2] * changes[2 * n + c];
        v += x.e[3] * changes[3 * n + c];
        store(w + c * padded, v);
    }
}

/* changes: of sample a and output k at a * n + k */
INLINE void update_parameter(
    const Block *block, const Shape *shape, double *theta, const double *changes,
    double bias)
{
    const ptrdiff_t n = in_fours(shape->n_outputs);
    const ptrdiff_t padded = shape->padded;
    if (shape->n_outputs == 1)
        EACH_VECTOR(block, shape, {
            if (block->ahead) ask_ahead(block, j);
            update_step(x, theta + j, 0, changes, n, 1);
        });
    else
        for (ptrdiff_t k = 0; k < n; k += 4) {
            double *w = theta + k * padded;
            EACH_VECTOR(block, shape,
                        update_step(x, w + j, padded, changes + k, n, 4));
        }
    for (ptrdiff_t k = 0; k < n; k += 4) {
        double *b = theta + shape->intercepts + k;
        quad sum = (load_quad(changes + k) + load_quad(changes + n + k))
                   + (load_quad(changes + 2 * n + k) + load_quad(changes + 3 * n + k));
        store_quad(b, load_quad(b) + bias * sum);
    }
}

/* ---- from scores to steps */

/* Sums over the samples of a task; see `_losses.h` for `rest`. */
typedef struct {
    quad value, rest, grad_sq;
    quad finite; /* zero as long as everything is */
    double total;
    int n_rests;
} Sums;

/* A rest is at most 1, and each one merged at most doubles 1 + rest: so many in each of
 * four lanes, and four times as many after a block, are far from infinity. */
enum { MOST_RESTS = 60 };

INLINE quad merge_rests(quad a, quad b) { return a + b * (1.0 + a); }

INLINE double log_rests(quad rest)
{
    double a = rest[0] + rest[1] * (1.0 + rest[0]);
    double b = rest[2] + rest[3] * (1.0 + rest[2]);
    return log1p(a + b * (1.0 + a));
}

INLINE void flush(Sums *sums)
{
    sums->total += log_rests(sums->rest);
    sums->rest = splat(0.0);
    sums->n_rests = 0;
}

/* What the samples of a block share while four outputs are learned. */
typedef struct {
    quad output, intercept;
    quad_bits live; /* lanes that are outputs */
    quad u[4];      /* steps so far */
    quad grad_sq, finite;
} Chain;

INLINE void learn_sample(
    const enum LossCode loss, const int several, const int a, const Block *block,
    const Inner *inner, const Task *task, quad z, Chain *chain, quad *value, quad *rest)
{
    const double weight = block->weight[a], norm = gram_at(block, a, a);
    const double eta = task->eta[0], q = eta * norm;
    const quad y = splat(block->y[a]);
    const quad target =
        several ? choose(chain->output == y, splat(1.0), splat(-1.0)) : y;
    z += chain->intercept;
    if (is_residual(loss)) z -= target; /* while earlier steps are still awaited */
    if (a > 0) z += chain->u[0] * gram_at(block, 0, a);
    if (a > 1) z += chain->u[1] * gram_at(block, 1, a);
    if (a > 2) z += chain->u[2] * gram_at(block, 2, a);
    const quad s = is_margin(loss) ? target * z : z;
    const Loss_quad at = loss_at_quad(loss, inner->parameter, block->y[a], s);
    quad slope = at.slope, scale = splat(-eta * weight);
    if (inner->update == IMPLICIT && q > 0) {
        slope = proximal_slope_quad(loss, inner->parameter, block->y[a], s, q, weight,
                                    slope);
        scale = splat(-eta);
    }
    chain->u[a] = slope * (is_margin(loss) ? scale * target : scale);
    *value += (quad)((quad_bits)at.value & chain->live);
    if (has_rest(loss))
        *rest = merge_rests(*rest, (quad)((quad_bits)at.rest & chain->live));
    chain->grad_sq += (quad)((quad_bits)(at.slope * at.slope) & chain->live)
                      * (weight * weight * norm);
    /* one output shows in its score, or in its loss, what is wrong with y */
    chain->finite += (quad)((quad_bits)s & chain->live) * 0.0;
    if (several) chain->finite += y * 0.0;
}

/* Whether `learn_four` learns a block: one output, and neither weights nor losses. */
INLINE int is_plain(const Block *block, const Data *data, const Shape *shape,
                    const Task *task)
{
    return shape->n_outputs == 1 && block->n == 4 && !data->weight && !task->losses;
}

/* Four samples of one output, for a loss that is computed as fast for one number. The
 * time is that of the chain from score to score: what it does not wait for is multiplied
 * before, or computed after it for all samples at once. */
INLINE void learn_four(
    const enum LossCode loss, const Block *block, const Inner *inner, const Shape *shape,
    const Task *task, quad z, int first_pass, double *changes, Sums *sums)
{
    const double eta = task->eta[0], p = inner->parameter, *y = block->y;
    const int is_implicit = inner->update == IMPLICIT;
    const double intercept = inner->bias * task->theta[shape->intercepts];
    double s[4], slope[4], scale[4];
    z += is_residual(loss) ? intercept - load_quad(y) : splat(intercept);
#pragma GCC unroll 4
    for (int a = 0; a < 4; a++) scale[a] = is_margin(loss) ? -eta * y[a] : -eta;
#pragma GCC unroll 4
    for (int a = 0; a < 4; a++) {
        double score = z[a];
        if (a > 0) score += slope[0] * (scale[0] * gram_at(block, 0, a));
        if (a > 1) score += slope[1] * (scale[1] * gram_at(block, 1, a));
        if (a > 2) score += slope[2] * (scale[2] * gram_at(block, 2, a));
        s[a] = is_margin(loss) ? y[a] * score : score;
        slope[a] = loss_at_double(loss, p, y[a], s[a]).slope;
        const double q = eta * gram_at(block, a, a);
        if (is_implicit && q > 0)
            slope[a] = proximal_slope_double(loss, p, y[a], s[a], q, 1.0, slope[a]);
    }
    /* whole quads, as they are read: memory is slow where it joins several writes */
#pragma GCC unroll 4
    for (int a = 0; a < 4; a++)
        store_quad(changes + 4 * a, (quad){slope[a] * scale[a], 0.0, 0.0, 0.0});
    const quad each = {s[0], s[1], s[2], s[3]};
    const Loss_quad at = loss_at_quad(loss, p, 0.0, each);
    sums->finite += each * 0.0 + at.value * 0.0;
    if (!first_pass) return;
    sums->value += at.value;
    sums->grad_sq += at.slope * at.slope * load_quad(block->gram + 8);
}

INLINE void keep_loss(
    const enum LossCode loss, const int a, const Block *block, const Task *task,
    quad value, quad rest, Sums *sums)
{
    const double weight = block->weight[a];
    if (weight == 1.0 && !task->losses) {
        sums->value += value;
        if (has_rest(loss)) sums->rest = merge_rests(sums->rest, rest);
        return;
    }
    double weighted = weight * (sum_quad(value) + log_rests(rest));
    sums->total += weighted;
    if (task->losses) task->losses[block->row[a]] = weighted;
}

/* Turns the scores of a block into changes theta += change x, sample by sample. `each`
 * holds the scores of one output. */
INLINE void learn_block(
    const enum LossCode loss, const int several, const Block *block, const Inner *inner,
    const Shape *shape, const Task *task, int first_pass, quad each, double *scores,
    Sums *sums)
{
    const ptrdiff_t K = shape->n_outputs, n = several ? in_fours(K) : 4;
    const double *intercepts = task->theta + shape->intercepts;
    quad v0 = {0}, v1 = {0}, v2 = {0}, v3 = {0}, r0 = {0}, r1 = {0}, r2 = {0}, r3 = {0};
    Chain chain = {.grad_sq = {0}, .finite = {0}};
    for (ptrdiff_t k = 0; k < n; k += 4) {
        double *z = scores + k;
        chain.output = splat((double)k) + (quad){0.0, 1.0, 2.0, 3.0};
        chain.live = chain.output < splat((double)K);
        chain.intercept = inner->bias * load_quad(intercepts + k);
        chain.u[1] = chain.u[2] = chain.u[3] = splat(0.0);
#define SAMPLE(a)                                                                     \
    learn_sample(loss, several, a, block, inner, task,                                \
                 several ? load_quad(z + a * n) : splat(each[a]), &chain, &v##a, &r##a)
        SAMPLE(0);
        if (block->n > 1) SAMPLE(1);
        if (block->n > 2) SAMPLE(2);
        if (block->n > 3) SAMPLE(3);
#undef SAMPLE
        store_quad(z, (quad)((quad_bits)chain.u[0] & chain.live));
        store_quad(z + n, (quad)((quad_bits)chain.u[1] & chain.live));
        store_quad(z + 2 * n, (quad)((quad_bits)chain.u[2] & chain.live));
        store_quad(z + 3 * n, (quad)((quad_bits)chain.u[3] & chain.live));
        if (k % (4 * MOST_RESTS) == 4 * (MOST_RESTS - 1)) {
            v0[0] += log_rests(r0), v1[0] += log_rests(r1);
            v2[0] += log_rests(r2), v3[0] += log_rests(r3);
            r0 = r1 = r2 = r3 = splat(0.0);
        }
    }
    const double *weight = block->weight;
    chain.finite += (weight[0] * v0) * 0.0 + (weight[1] * v1) * 0.0;
    chain.finite += (weight[2] * v2) * 0.0 + (weight[3] * v3) * 0.0;
    sums->finite += chain.finite;
    if (!first_pass) return;
    sums->grad_sq += chain.grad_sq;
    if (has_rest(loss)) {
        const int n_rests = 4 * (n / 4 < MOST_RESTS ? (int)(n / 4) : MOST_RESTS);
        if (sums->n_rests + n_rests > MOST_RESTS) flush(sums);
        sums->n_rests += n_rests;
    }
    keep_loss(loss, 0, block, task, v0, r0, sums);
    if (block->n > 1) keep_loss(loss, 1, block, task, v1, r1, sums);
    if (block->n > 2) keep_loss(loss, 2, block, task, v2, r2, sums);
    if (block->n > 3) keep_loss(loss, 3, block, task, v3, r3, sums);
}

/* `each`: scores without intercept of the samples, if there is one output. */
INLINE void learn_block_of(
    const Block *block, const Data *data, const Inner *inner, const Shape *shape,
    const Task *task, int first_pass, quad each, double *scores, Sums *sums)
{
    const int plain = is_plain(block, data, shape, task);
/* a constant loss, and several outputs for those of the margin only */
#define LEARN(name, several)                                                           \
    learn_block(LOSS_##name, several, block, inner, shape, task, first_pass, each,     \
                scores, sums)
#define LEARN_PLAIN(name)                                                              \
    if (plain && !has_rest(LOSS_##name))                                               \
        learn_four(LOSS_##name, block, inner, shape, task, each, first_pass, scores,   \
                   sums);                                                              \
    else                                                                               \
        LEARN(name, 0)
#define LEARN_OF_RESIDUAL(name) LEARN_PLAIN(name)
#define LEARN_OF_SCORE(name) LEARN(name, 0)
#define LEARN_OF_MARGIN(name)                                                          \
    if (shape->n_outputs > 1)                                                          \
        LEARN(name, 1);                                                                \
    else                                                                               \
        LEARN_PLAIN(name)
#define CASE(name, of, rest)                                                           \
    case LOSS_##name:                                                                  \
        LEARN_##of(name);                                                              \
        break;
    switch (inner->loss) {
        EACH_LOSS(CASE)
    }
#undef CASE
#undef LEARN_OF_MARGIN
#undef LEARN_OF_SCORE
#undef LEARN_OF_RESIDUAL
#undef LEARN_PLAIN
#undef LEARN
}

/* As `learn_samples`, with padded parameters. `reading` (or NULL) says how rows are read
 * in units; they have the shape of a padded parameter then. */
static int learn_blocks(
    const Data *data, const Inner *inner, const Shape *shape, const Reading *reading,
    Task *task, double *scratch)
{
    const ptrdiff_t n = in_fours(shape->n_outputs);
    double *scores = scratch, *buffers = scratch + 4 * n;
    double n_steps = 0.0;
    Sums sums = {.total = 0.0};
    Block block = {.weight = {1.0, 1.0, 1.0, 1.0}};
    for (ptrdiff_t n_pass = 0; n_pass < inner->max_iter; n_pass++) {
        for (ptrdiff_t position = task->begin; position < task->end; position += 4) {
            fetch(&block, data, n_pass, position, task, shape, reading, buffers);
            quad each = {0};
            if (shape->n_outputs == 1)
                each = score_one_output(&block, shape, task->theta, inner->bias);
            else
                score_outputs(&block, shape, task->theta, inner->bias, scores);
            learn_block_of(&block, data, inner, shape, task, n_pass == 0, each, scores,
                           &sums);
            update_parameter(&block, shape, task->theta, scores, inner->bias);
            if (!task->average) continue;
            for (int a = 0; a < block.n; a++, n_steps += 1.0)
                for (ptrdiff_t k = 0; k < n; k++) scores[a * n + k] *= n_steps + 1.0;
            update_parameter(&block, shape, task->average, scores, inner->bias);
        }
    }
    if (sums.n_rests) flush(&sums);
    task->total_loss += sums.total + sum_quad(sums.value);
    task->grad_sq[0] += sum_quad(sums.grad_sq);
    return sum_quad(sums.finite) == 0.0;
}
