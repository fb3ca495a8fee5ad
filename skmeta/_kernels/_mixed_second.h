/* The second sweep of an iteration, at the new mean, and the states it leaves. */

/* Sums in lanes, lower tiles of p * p each, and scratch of a group. */
typedef struct {
    vec *scores, *squares, *products, *spread, *quadratic;
    vec *G, *F, *level; /* G: Y Z E; F: H Z E; level: m'E of the levels' rows */
} SecondSums;

/* G = Y E of the mean's columns, with the level's part in the rows of the intercept. */
INLINE void multiply_spread_root(const int dense, const Form *form, const Group *now,
                                 const double *E, SecondSums *sums)
{
    const ptrdiff_t p = form->p, q = form->q, n = p + q;
    for (ptrdiff_t j = 0; q && j < n; j++) {
        vec sum = {0};
        for (ptrdiff_t i = most(0, j - p); i < q; i++)
            sum += now->level[i] * E[(p + i) * n + j];
        sums->level[j] = sum;
    }
    for (ptrdiff_t I = 0; I < blocks(form->k); I++) {
        const ptrdiff_t w = block_width(dense, I, p), at = block_at(dense, I, p);
        const vec *y = now->Y + at;
        vec *to = sums->G + at;
        for (ptrdiff_t J = 0; 4 * J < w; J++) {
#define CALL(ni, nj)                                                                   \
    do {                                                                               \
        vec acc[4][4] = ZERO_TILE;                                                     \
        multiply_shared(ni, nj, w - 4 * J, y + 4 * J, w, 1, E + 4 * J * n + 4 * J, 1,  \
                        n, acc);                                                       \
        for (int i = 0; i < ni; i++)                                                   \
            for (int j = 0; j < nj; j++)                                               \
                to[i * w + 4 * J + j] = acc[i][j];                                     \
    } while (0)
            WITH_TILE(least(form->k - 4 * I, 4), least(w - 4 * J, 4), CALL)
#undef CALL
        }
    }
    for (ptrdiff_t i = dense ? 0 : p - 1; q && i < form->k; i++) {
        const ptrdiff_t at = row_at(dense, i, p);
        for (ptrdiff_t j = 0; j < p; j++)
            sums->G[at + j] += now->Y[at + p - 1] * sums->level[j];
    }
}

/* |m'E|^2 over the columns of the levels */
INLINE vec level_square(const Form *form, const SecondSums *sums)
{
    vec sum = {0};
    for (ptrdiff_t j = 0; j < form->q; j++)
        sum += sums->level[form->p + j] * sums->level[form->p + j];
    return sum;
}

/* Add the diagonal of F F', F = Y'G, or F F' itself. */
INLINE void spread_triangle(const Form *form, const Group *now, int diagonal,
                            SecondSums *sums)
{
    const ptrdiff_t p = form->p;
    const vec om = *now->weight;
    for (ptrdiff_t I = 0; I < blocks(p); I++)
        for (ptrdiff_t J = 0; J < blocks(p); J++) {
            vec *to = sums->spread + 4 * I * (p + 1), *f = sums->F + 4 * I * p + 4 * J;
#define CALL(ni, nj)                                                                   \
    do {                                                                               \
        vec acc[4][4] = ZERO_TILE;                                                     \
        multiply_columns(ni, nj, 0, form, now->Y, I, sums->G, J, acc);                 \
        for (int i = 0; i < ni; i++) {                                                 \
            vec sum = {0};                                                             \
            for (int j = 0; j < nj; j++) {                                             \
                sum += acc[i][j] * acc[i][j];                                          \
                if (!diagonal)                                                         \
                    f[i * p + j] = acc[i][j];                                          \
            }                                                                          \
            if (diagonal)                                                              \
                to[i * (p + 1)] += om * sum;                                           \
        }                                                                              \
    } while (0)
            WITH_TILE(least(p - 4 * I, 4), least(p - 4 * J, 4), CALL)
#undef CALL
        }
    if (diagonal)
        return;
    for (ptrdiff_t I = 0; I < blocks(p); I++)
        for (ptrdiff_t J = 0; J <= I; J++) {
            vec *to = sums->spread + 4 * I * p + 4 * J;
            const vec *a = sums->F + 4 * I * p, *b = sums->F + 4 * J * p;
#define CALL(ni, nj)                                                                   \
    do {                                                                               \
        vec acc[4][4] = ZERO_TILE;                                                     \
        multiply(ni, nj, 1, p, a, p, 1, b, p, 1, acc);                                 \
        for (int i = 0; i < ni; i++)                                                   \
            for (int j = 0; j < nj; j++)                                               \
                to[i * p + j] += om * acc[i][j];                                       \
    } while (0)
            WITH_TILE(least(p - 4 * I, 4), least(p - 4 * J, 4), CALL)
#undef CALL
        }
}

/* The same for few rows: Y'(G G')Y; F takes G G' and then its product with Y. */
INLINE void spread_rows(const Form *form, const Group *now, int diagonal,
                        SecondSums *sums)
{
    const ptrdiff_t p = form->p, k = form->k;
    const vec om = *now->weight, levels = level_square(form, sums);
    vec *K = sums->F, *N = K + k * k;
    for (ptrdiff_t i = 0; i < k; i++)
        for (ptrdiff_t j = 0; j <= i; j++) {
            const vec *a = sums->G + i * p, *b = sums->G + j * p;
            vec x = {0}, y = levels * now->Y[i * p + p - 1] * now->Y[j * p + p - 1];
            ptrdiff_t c = 0;
            for (; c + 2 <= p; c += 2) {
                x += a[c] * b[c];
                y += a[c + 1] * b[c + 1];
            }
            if (c < p)
                x += a[c] * b[c];
            K[i * k + j] = K[j * k + i] = om * (x + y);
        }
    for (ptrdiff_t I = 0; I < blocks(k); I++)
        for (ptrdiff_t J = 0; J < blocks(p); J++) {
#define CALL(ni, nj)                                                                   \
    do {                                                                               \
        vec acc[4][4] = ZERO_TILE;                                                     \
        multiply(ni, nj, 1, k, K + 4 * I * k, k, 1, now->Y + 4 * J, 1, p, acc);        \
        for (int i = 0; i < ni; i++)                                                   \
            for (int j = 0; j < nj; j++)                                               \
                N[(4 * I + i) * p + 4 * J + j] = acc[i][j];                            \
    } while (0)
            WITH_TILE(least(k - 4 * I, 4), least(p - 4 * J, 4), CALL)
#undef CALL
        }
    if (diagonal) {
        for (ptrdiff_t i = 0; i < k; i++)
            for (ptrdiff_t j = 0; j < p; j++)
                sums->spread[j * (p + 1)] += N[i * p + j] * now->Y[i * p + j];
        return;
    }
    for (ptrdiff_t I = 0; I < blocks(p); I++)
        for (ptrdiff_t J = 0; J <= I; J++) {
            vec *to = sums->spread + 4 * I * p + 4 * J;
#define CALL(ni, nj)                                                                   \
    do {                                                                               \
        vec acc[4][4] = ZERO_TILE;                                                     \
        multiply(ni, nj, 1, k, N + 4 * I, 1, p, now->Y + 4 * J, 1, p, acc);            \
        for (int i = 0; i < ni; i++)                                                   \
            for (int j = 0; j < nj; j++)                                               \
                to[i * p + j] += acc[i][j];                                            \
    } while (0)
            WITH_TILE(least(p - 4 * I, 4), least(p - 4 * J, 4), CALL)
#undef CALL
        }
}

INLINE void second_group(const int dense, const MixedTasks *tasks, const Form *form,
                         ptrdiff_t g, const double *E, const double *step,
                         int diagonal, SecondSums *sums)
{
    const ptrdiff_t p = form->p, k = form->k;
    const Group now = group_of(tasks, form, g);
    const vec om = *now.weight;
    vec *e = sums->F, square = *now.residual / tasks->v;
    memcpy(e, now.e, sizeof(vec) * (size_t)k);
    subtract_line(dense, form, now.Y, step, level_times(form, now.level, step + p), e);
    find_scores(dense, form, now.Y, e, now.s);
    for (ptrdiff_t i = 0; i < k; i++)
        square += e[i] * e[i];
    *sums->quadratic += om * square;
    multiply_spread_root(dense, form, &now, E, sums);
    if (dense) {
        spread_rows(form, &now, diagonal, sums);
        return;
    }
    spread_triangle(form, &now, diagonal, sums);
    if (form->q == 0)
        return;
    const vec *y = now.Y + row_at(0, p - 1, p);
    const vec rest = om * level_square(form, sums) * y[p - 1] * y[p - 1];
    for (ptrdiff_t i = 0; i < p; i++)
        for (ptrdiff_t j = diagonal ? i : 0; j <= i; j++)
            sums->spread[i * p + j] += rest * y[i] * y[j];
}

/* Add s s', H o H and (s s') o H of groups of one form. */
INLINE void add_products(const int dense, const MixedTasks *tasks, const Form *form,
                         ptrdiff_t first, ptrdiff_t last, SecondSums *sums)
{
    const ptrdiff_t p = form->p;
    for (ptrdiff_t I = 0; I < blocks(p); I++)
        for (ptrdiff_t J = 0; J <= I; J++) {
            const ptrdiff_t at = 4 * I * p + 4 * J;
#define CALL(ni, nj)                                                                   \
    do {                                                                               \
        vec ss[4][4] = ZERO_TILE, hh[4][4] = ZERO_TILE, sh[4][4] = ZERO_TILE;          \
        for (ptrdiff_t g = first; g < last; g++) {                                     \
            const Group now = group_of(tasks, form, g);                                \
            vec h[4][4] = ZERO_TILE;                                                   \
            multiply_columns(ni, nj, dense, form, now.Y, I, now.Y, J, h);              \
            for (int i = 0; i < ni; i++) {                                             \
                const vec si = now.s[4 * I + i] * *now.weight;                         \
                for (int j = 0; j < nj; j++) {                                         \
                    const vec a = si * now.s[4 * J + j];                               \
                    ss[i][j] += a;                                                     \
                    sh[i][j] += a * h[i][j];                                           \
                    hh[i][j] += h[i][j] * h[i][j] * *now.weight;                       \
                }                                                                      \
            }                                                                          \
        }                                                                              \
        for (int i = 0; i < ni; i++)                                                   \
            for (int j = 0; j < nj; j++) {                                             \
                sums->scores[at + i * p + j] += ss[i][j];                              \
                sums->squares[at + i * p + j] += hh[i][j];                             \
                sums->products[at + i * p + j] += sh[i][j];                            \
            }                                                                          \
    } while (0)
            WITH_TILE(least(p - 4 * I, 4), least(p - 4 * J, 4), CALL)
#undef CALL
        }
}

static SecondSums second_sums(vec *at, ptrdiff_t p)
{
    SecondSums sums = {at,
                       at + p * p,
                       at + 2 * p * p,
                       at + 3 * p * p,
                       at + 4 * p * p,
                       at + 4 * p * p + 1,
                       at + 5 * p * p + 1,
                       at + 6 * p * p + 1};
    return sums;
}

static int second_sweep(const MixedTasks *tasks, const double *E, const double *step,
                        int diagonal, ptrdiff_t first, ptrdiff_t last, double *out)
{
    const ptrdiff_t p = tasks->p, q = tasks->q;
    vec *at = new_vectors(6 * p * p + 1 + p + q);
    if (!at)
        return -1;
    memset(at, 0, sizeof(vec) * (size_t)(4 * p * p + 1));
    SecondSums sums = second_sums(at, p);
    for (ptrdiff_t g = first, end; g < last; g = end) {
        const Form form = form_of(tasks, g);
        end = batch_end(tasks, g, last);
        for (ptrdiff_t i = g; i < end; i++)
            if (form.dense)
                second_group(1, tasks, &form, i, E, step, diagonal, &sums);
            else
                second_group(0, tasks, &form, i, E, step, diagonal, &sums);
        if (form.dense)
            add_products(1, tasks, &form, g, end, &sums);
        else
            add_products(0, tasks, &form, g, end, &sums);
    }
    for (int i = 0; i < 4; i++)
        sum_symmetric(at + i * p * p, p, out + i * p * p);
    out[4 * p * p] = sum_lanes(*sums.quadratic);
    free(at);
    return 0;
}

/* ---- states of tasks */

/* H of a group, p * p. */
INLINE void find_information(const int dense, const Form *form, const vec *Y, vec *H)
{
    const ptrdiff_t p = form->p;
    for (ptrdiff_t I = 0; I < blocks(p); I++)
        for (ptrdiff_t J = 0; J <= I; J++) {
#define CALL(ni, nj)                                                                   \
    do {                                                                               \
        vec acc[4][4] = ZERO_TILE;                                                     \
        multiply_columns(ni, nj, dense, form, Y, I, Y, J, acc);                        \
        for (int i = 0; i < ni; i++)                                                   \
            for (int j = 0; j < nj; j++)                                               \
                H[(4 * I + i) * p + 4 * J + j] = H[(4 * J + j) * p + 4 * I + i] =      \
                    acc[i][j];                                                         \
    } while (0)
            WITH_TILE(least(p - 4 * I, 4), least(p - 4 * J, 4), CALL)
#undef CALL
        }
}

static void group_information(const Form *form, const vec *Y, vec *H)
{
    if (form->dense)
        find_information(1, form, Y, H);
    else
        find_information(0, form, Y, H);
}

static int pair_sweep(const MixedTasks *tasks, const ptrdiff_t *live, ptrdiff_t n_live,
                      ptrdiff_t first, ptrdiff_t last, double *scores,
                      double *information)
{
    const ptrdiff_t p = tasks->p, m = n_live * (n_live + 1) / 2;
    vec *H = new_vectors(p * p + 2 * m + vectors_for(m));
    if (!H)
        return -1;
    vec *a = H + p * p, *b = a + m;
    double *spare = (double *)(b + m); /* where lanes without a task are written */
    for (ptrdiff_t g = first; g < last; g++) {
        const Form form = form_of(tasks, g);
        const Group now = group_of(tasks, &form, g);
        double *to_a[LANES], *to_b[LANES];
        ptrdiff_t at = 0;
        group_information(&form, now.Y, H);
        for (ptrdiff_t i = 0; i < n_live; i++)
            for (ptrdiff_t j = 0; j <= i; j++, at++) {
                a[at] = *now.weight * now.s[live[i]] * now.s[live[j]];
                b[at] = H[live[i] * p + live[j]];
            }
        for (int l = 0; l < LANES; l++) {
            const ptrdiff_t row = (g - first) * LANES + l;
            const int real = tasks->task[g * LANES + l] >= 0;
            to_a[l] = real ? scores + row * m : spare;
            to_b[l] = real ? information + row * m : spare;
        }
        from_lanes(a, m, to_a);
        from_lanes(b, m, to_b);
    }
    free(H);
    return 0;
}

static int state_sweep(const MixedTasks *tasks, ptrdiff_t first, ptrdiff_t last,
                       double *s, double *H)
{
    const ptrdiff_t p = tasks->p;
    vec *information = new_vectors(p * p + vectors_for(p * p));
    if (!information)
        return -1;
    double *spare = (double *)(information + p * p);
    for (ptrdiff_t g = first; g < last; g++) {
        const Form form = form_of(tasks, g);
        const Group now = group_of(tasks, &form, g);
        double *to_s[LANES], *to_H[LANES];
        group_information(&form, now.Y, information);
        for (int l = 0; l < LANES; l++) {
            const ptrdiff_t t = tasks->task[g * LANES + l];
            to_s[l] = t < 0 ? spare : s + t * p;
            to_H[l] = t < 0 ? spare : H + t * p * p;
        }
        from_lanes(now.s, p, to_s);
        from_lanes(information, p * p, to_H);
    }
    free(information);
    return 0;
}
