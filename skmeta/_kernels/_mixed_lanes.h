/* LANES small matrices at a time, in GNU C: entry (i, j) of all is one vector.
 *
 * A lower triangle of n rows is stored by blocks of four rows; the rows of a block are
 * as wide as its last one, zeros above the diagonal.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

#if VECTOR_BYTES > 16
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

/* VECTOR_BYTES is that of the instruction set, so that a vector is one register. */
enum { LANES = VECTOR_BYTES / 8 };

typedef double vec __attribute__((vector_size(VECTOR_BYTES)));
typedef long long vec_bits __attribute__((vector_size(VECTOR_BYTES)));
typedef double loose_vec
    __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
typedef double quad __attribute__((vector_size(32)));
typedef double loose_quad __attribute__((vector_size(32), aligned(8), may_alias));
typedef float float_quad __attribute__((vector_size(16)));
typedef float loose_float_quad
    __attribute__((vector_size(16), aligned(4), may_alias));

INLINE ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
INLINE ptrdiff_t most(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
INLINE ptrdiff_t blocks(ptrdiff_t n) { return (n + 3) / 4; }
INLINE ptrdiff_t vectors_for(ptrdiff_t n) { return (n + LANES - 1) / LANES; }

/* A block of rows I of a matrix of p columns, dense or lower triangular. */
INLINE ptrdiff_t block_at(const int dense, ptrdiff_t I, ptrdiff_t p)
{
    return dense ? 4 * I * p : 8 * I * (I + 1);
}
INLINE ptrdiff_t block_width(const int dense, ptrdiff_t I, ptrdiff_t p)
{
    return dense ? p : least(4 * I + 4, p);
}
INLINE ptrdiff_t matrix_size(const int dense, ptrdiff_t rows, ptrdiff_t p)
{
    if (dense)
        return rows * p;
    ptrdiff_t last = blocks(p) - 1;
    return block_at(0, last, p) + (p - 4 * last) * p;
}

INLINE vec splat(double x) { return (vec){0} + x; }

INLINE double sum_lanes(vec a)
{
    double sum[LANES];
    memcpy(sum, &a, sizeof sum);
#pragma GCC unroll 4
    for (int half = LANES / 2; half; half /= 2)
#pragma GCC unroll 4
        for (int l = 0; l < half; l++)
            sum[l] += sum[l + half];
    return sum[0];
}

INLINE vec square_root(vec a)
{
#if VECTOR_BYTES == 64
    return (vec)_mm512_sqrt_pd((__m512d)a);
#elif VECTOR_BYTES == 32
    return (vec)_mm256_sqrt_pd((__m256d)a);
#else
    for (int l = 0; l < LANES; l++)
        a[l] = sqrt(a[l]);
    return a;
#endif
}

INLINE vec choose(vec_bits where, vec yes, vec no)
{
    return (vec)((where & (vec_bits)yes) | (~where & (vec_bits)no));
}

static vec *new_vectors(ptrdiff_t n)
{
    return aligned_alloc(VECTOR_BYTES, sizeof(vec) * (size_t)most(n, 1));
}

/* acc[i][j] += or -= sum over c of a(i, c) b(j, c), c steps in the strides given */
INLINE void multiply(const int ni, const int nj, const int sign, ptrdiff_t n,
                     const vec *a, ptrdiff_t a_row, ptrdiff_t a_next, const vec *b,
                     ptrdiff_t b_row, ptrdiff_t b_next, vec acc[4][4])
{
    for (ptrdiff_t c = 0; c < n; c++, a += a_next, b += b_next) {
#pragma GCC unroll 4
        for (int i = 0; i < ni; i++)
#pragma GCC unroll 4
            for (int j = 0; j < nj; j++)
                if (sign > 0)
                    acc[i][j] += a[i * a_row] * b[j * b_row];
                else
                    acc[i][j] -= a[i * a_row] * b[j * b_row];
    }
}

/* the same with a matrix b shared by all lanes */
INLINE void multiply_shared(const int ni, const int nj, ptrdiff_t n, const vec *a,
                            ptrdiff_t a_row, ptrdiff_t a_next, const double *b,
                            ptrdiff_t b_row, ptrdiff_t b_next, vec acc[4][4])
{
    for (ptrdiff_t c = 0; c < n; c++, a += a_next, b += b_next) {
#pragma GCC unroll 4
        for (int i = 0; i < ni; i++)
#pragma GCC unroll 4
            for (int j = 0; j < nj; j++)
                acc[i][j] += a[i * a_row] * b[j * b_row];
    }
}

#define ZERO_TILE {{{0}}}

/* call(ni, nj) with constants; a tile is 4 x 4 but at the last rows and columns */
#define WITH_ROWS(ni, nj, call)                                                        \
    switch (ni) {                                                                      \
    case 4: call(4, nj); break;                                                        \
    case 3: call(3, nj); break;                                                        \
    case 2: call(2, nj); break;                                                        \
    default: call(1, nj);                                                              \
    }
#define WITH_TILE(ni, nj, call)                                                        \
    switch (nj) {                                                                      \
    case 4: WITH_ROWS(ni, 4, call) break;                                              \
    case 3: WITH_ROWS(ni, 3, call) break;                                              \
    case 2: WITH_ROWS(ni, 2, call) break;                                              \
    default: WITH_ROWS(ni, 1, call)                                                    \
    }

/* Products of pivots: mantissas in [1, 2) and sums of exponents. */
typedef struct {
    vec mantissa;
    vec_bits exponent, failed;
} Pivots;

INLINE void take_exponent(Pivots *now)
{
    const vec_bits one = (vec_bits)splat(1.0);
    vec_bits bits = (vec_bits)now->mantissa;
    now->exponent += (bits >> 52) - 1023;
    now->mantissa = (vec)((bits & 0xFFFFFFFFFFFFFLL) | one);
}

INLINE vec log_of(const Pivots *now)
{
    vec m = now->mantissa;
    vec_bits large = m > splat(1.4142135623730951);
    m = choose(large, m * 0.5, m);
    vec n = __builtin_convertvector(now->exponent - large, vec);
    vec s = (m - 1.0) / (m + 1.0), s2 = s * s, sum = splat(1.0 / 21);
#pragma GCC unroll 10
    for (int odd = 19; odd > 0; odd -= 2)
        sum = sum * s2 + 1.0 / odd;
    return n * 0.6931471805599453 + 2.0 * s * sum;
}

/* ---- between rows of LANES tasks and lanes */

INLINE void transpose(quad *a, quad *b, quad *c, quad *d)
{
    quad ab = __builtin_shufflevector(*a, *b, 0, 4, 2, 6);
    quad AB = __builtin_shufflevector(*a, *b, 1, 5, 3, 7);
    quad cd = __builtin_shufflevector(*c, *d, 0, 4, 2, 6);
    quad CD = __builtin_shufflevector(*c, *d, 1, 5, 3, 7);
    *a = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    *b = __builtin_shufflevector(AB, CD, 0, 1, 4, 5);
    *c = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    *d = __builtin_shufflevector(AB, CD, 2, 3, 6, 7);
}

INLINE quad read_quad(const void *from, ptrdiff_t j, const int single)
{
    if (single)
        return __builtin_convertvector(
            *(const loose_float_quad *)((const float *)from + j), quad);
    return *(const loose_quad *)((const double *)from + j);
}

INLINE double read_one(const void *from, ptrdiff_t j, const int single)
{
    return single ? ((const float *)from)[j] : ((const double *)from)[j];
}

/* Blocks of four columns; the last one overlaps where n is not a multiple of four. */
#define FOR_BLOCKS_OF_FOUR(j, n)                                                       \
    for (ptrdiff_t j = 0; (n) >= 4 && j < (n);                                         \
         j = j + 4 < (n) ? least(j + 4, (n) - 4) : (n))

/* out[j] = entry j of LANES rows of n numbers */
INLINE void to_lanes(const void *const from[LANES], const int single, ptrdiff_t n,
                     vec *out)
{
#if VECTOR_BYTES >= 32
    FOR_BLOCKS_OF_FOUR(j, n)
        for (int h = 0; h < LANES / 4; h++) {
            const void *const *row = from + 4 * h;
            quad a = read_quad(row[0], j, single), b = read_quad(row[1], j, single);
            quad c = read_quad(row[2], j, single), d = read_quad(row[3], j, single);
            transpose(&a, &b, &c, &d);
            loose_quad *to = (loose_quad *)(out + j) + h;
            to[0] = a;
            to[LANES / 4] = b;
            to[2 * (LANES / 4)] = c;
            to[3 * (LANES / 4)] = d;
        }
    if (n >= 4)
        return;
#endif
    for (ptrdiff_t j = 0; j < n; j++)
        for (int l = 0; l < LANES; l++)
            ((double *)(out + j))[l] = read_one(from[l], j, single);
}

/* entry j of LANES rows of n numbers = from[j] */
INLINE void from_lanes(const vec *from, ptrdiff_t n, double *const out[LANES])
{
#if VECTOR_BYTES >= 32
    FOR_BLOCKS_OF_FOUR(j, n)
        for (int h = 0; h < LANES / 4; h++) {
            const loose_quad *in = (const loose_quad *)(from + j) + h;
            quad a = in[0], b = in[LANES / 4];
            quad c = in[2 * (LANES / 4)], d = in[3 * (LANES / 4)];
            transpose(&a, &b, &c, &d);
            *(loose_quad *)(out[4 * h] + j) = a;
            *(loose_quad *)(out[4 * h + 1] + j) = b;
            *(loose_quad *)(out[4 * h + 2] + j) = c;
            *(loose_quad *)(out[4 * h + 3] + j) = d;
        }
    if (n >= 4)
        return;
#endif
    for (ptrdiff_t j = 0; j < n; j++)
        for (int l = 0; l < LANES; l++)
            out[l][j] = ((const double *)(from + j))[l];
}
