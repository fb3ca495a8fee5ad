/* Vectors of LANES features and of four outputs, in GNU C.
 *
 * LANES is the same for every instruction set, and an incomplete vector is loaded as
 * the last LANES values of its row with those in use already set to zero: the order of
 * a sum depends on nothing but the number of features.
 */

enum { LANES = 8 };

typedef double vec __attribute__((vector_size(64)));
typedef double loose_vec __attribute__((vector_size(64), aligned(8), may_alias));
typedef long long vec_bits __attribute__((vector_size(64)));
typedef double quad __attribute__((vector_size(32)));
typedef double loose_quad __attribute__((vector_size(32), aligned(8), may_alias));
typedef long long quad_bits __attribute__((vector_size(32)));

INLINE vec load(const double *p) { return *(const loose_vec *)p; }
INLINE void store(double *p, vec v) { *(loose_vec *)p = v; }
INLINE quad load_quad(const double *p) { return *(const loose_quad *)p; }
INLINE void store_quad(double *p, quad v) { *(loose_quad *)p = v; }

INLINE double sum_quad(quad v) { return (v[0] + v[2]) + (v[1] + v[3]); }

INLINE quad halves(vec v)
{
    return __builtin_shufflevector(v, v, 0, 1, 2, 3)
           + __builtin_shufflevector(v, v, 4, 5, 6, 7);
}

INLINE quad sum_each(vec a, vec b, vec c, vec d)
{
    quad A = halves(a), B = halves(b), C = halves(c), D = halves(d);
    quad ab = __builtin_shufflevector(A, B, 0, 4, 2, 6)
              + __builtin_shufflevector(A, B, 1, 5, 3, 7);
    quad cd = __builtin_shufflevector(C, D, 0, 4, 2, 6)
              + __builtin_shufflevector(C, D, 1, 5, 3, 7);
    return __builtin_shufflevector(ab, cd, 0, 1, 4, 5)
           + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

INLINE quad splat(double value) { return (quad){value, value, value, value}; }

INLINE quad choose(quad_bits where, quad yes, quad no)
{
    return (quad)((where & (quad_bits)yes) | (~where & (quad_bits)no));
}

INLINE quad absolute(quad v)
{
    const quad_bits sign = (quad_bits)splat(-0.0);
    return (quad)((quad_bits)v & ~sign);
}

INLINE double largest(quad v)
{
    double a = v[0] > v[1] ? v[0] : v[1], b = v[2] > v[3] ? v[2] : v[3];
    return a > b ? a : b;
}

/* exp of x <= 0: a power of two times a polynomial on |r| <= log(2) / 2. NaN stays. */
INLINE quad exp_quad(quad x)
{
    const double to_integer = 6755399441055744.0; /* 1.5 * 2**52 */
    quad_bits vanishes = x < splat(-708.0);
    x = choose(vanishes, splat(-708.0), x);
    quad shifted = x * 1.4426950408889634 + to_integer;
    quad n = shifted - to_integer;
    quad r = x - n * 6.93147180369123816490e-01 - n * 1.90821492927058770002e-10;
    quad r2 = r * r, r4 = r2 * r2;
    quad low = (1.0 + r) + r2 * (1.0 / 2 + r * (1.0 / 6));
    quad middle = (1.0 / 24 + r * (1.0 / 120)) + r2 * (1.0 / 720 + r * (1.0 / 5040));
    quad high = (1.0 / 40320 + r * (1.0 / 362880))
                + r2 * (1.0 / 3628800 + r * (1.0 / 39916800))
                + r4 * (1.0 / 479001600 + r * (1.0 / 6227020800));
    quad_bits power = (quad_bits)shifted << 52;
    quad value = (quad)((quad_bits)(low + r4 * (middle + r4 * high)) + power);
    return (quad)((quad_bits)value & ~vanishes);
}
