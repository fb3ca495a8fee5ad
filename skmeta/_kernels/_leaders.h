/* Sums of rows for `_leaders_fast.pyx`, for the instruction set of this processor. */
#ifndef SKMETA_LEADERS_H
#define SKMETA_LEADERS_H

#include <stddef.h>

typedef void (*AddRows)(double *out, const double *coefs, const double *rows,
                        ptrdiff_t n, ptrdiff_t width, ptrdiff_t stride);
typedef void (*AddOuter)(double *C, const double *s, const double *t, const double *u,
                         const double *v, ptrdiff_t n, ptrdiff_t stride);

AddRows skmeta_add_rows(void);
AddOuter skmeta_add_outer(void);

#endif
