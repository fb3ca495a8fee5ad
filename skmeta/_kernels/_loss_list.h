/* The compiled losses, in one place.
 *
 * LOSS(name, of, rest) stands for the loss whose Python class has `compiled = "name"`.
 * It is OF_MARGIN, OF_RESIDUAL or, with one output only, OF_SCORE; WITH_REST says that
 * its value has a part log1p(rest).
 * Its functions are in a header of its own, included below. A name without these does
 * not compile. */
#ifndef EACH_LOSS
#define EACH_LOSS(LOSS)                             \
    LOSS(squared_error, OF_RESIDUAL, NO_REST)       \
    LOSS(huber, OF_RESIDUAL, NO_REST)               \
    LOSS(absolute_error, OF_RESIDUAL, NO_REST)      \
    LOSS(epsilon_insensitive, OF_RESIDUAL, NO_REST) \
    LOSS(pinball, OF_RESIDUAL, NO_REST)             \
    LOSS(poisson, OF_SCORE, NO_REST)                \
    LOSS(log_loss, OF_MARGIN, WITH_REST)            \
    LOSS(hinge, OF_MARGIN, NO_REST)                 \
    LOSS(squared_hinge, OF_MARGIN, NO_REST)         \
    LOSS(modified_huber, OF_MARGIN, NO_REST)
#endif

#ifdef REAL
#include "losses/_absolute_error.h"
#include "losses/_epsilon_insensitive.h"
#include "losses/_hinge.h"
#include "losses/_huber.h"
#include "losses/_log_loss.h"
#include "losses/_modified_huber.h"
#include "losses/_pinball.h"
#include "losses/_poisson.h"
#include "losses/_squared_error.h"
#include "losses/_squared_hinge.h"
#endif
