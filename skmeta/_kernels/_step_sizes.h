/* The compiled step sizes and meta step sizes: a name, the size of the state and the
 * formulas of each. The Python classes in `skmeta.step_size` and
 * `skmeta.meta_step_size` specify them. */

/* ---- Fixed: eta0 of the inner learner */

static ptrdiff_t fixed_state_size(ptrdiff_t n_etas)
{
    (void)n_etas;
    return 0;
}

static void propose_fixed(
    const Rules *rules, const double *rule_state, ptrdiff_t m, double *eta)
{
    (void)rule_state;
    const double root = sqrt((double)m);
    for (ptrdiff_t j = 0; j < rules->n_etas; j++)
        eta[j] = rules->divide_by_root ? rules->eta0[j] / root : rules->eta0[j];
}

static void observe_nothing(
    const Rules *rules, double *rule_state, const double *displacement,
    double distance, const double *grad_sq, ptrdiff_t m, double n_tasks)
{
    (void)rules, (void)rule_state, (void)displacement;
    (void)distance, (void)grad_sq, (void)m, (void)n_tasks;
}

/* ---- Doubling: state is the radius; parameters are gamma and lipschitz */

static ptrdiff_t doubling_state_size(ptrdiff_t n_etas) { return n_etas; }

static void propose_doubling(
    const Rules *rules, const double *rule_state, ptrdiff_t m, double *eta)
{
    eta[0] = rule_state[0] / (rules->step_size_parameters[1] * sqrt((double)m));
}

static void observe_doubling(
    const Rules *rules, double *rule_state, const double *displacement,
    double distance, const double *grad_sq, ptrdiff_t m, double n_tasks)
{
    (void)displacement, (void)grad_sq, (void)m, (void)n_tasks;
    if (distance > rule_state[0]) rule_state[0] *= rules->step_size_parameters[0];
}

/* ---- SimilarityFTL: state is the sums of weighted squared distances and of weights;
 * parameters are eps and lipschitz */

static ptrdiff_t similarity_state_size(ptrdiff_t n_etas) { return 2 * n_etas; }

static void propose_similarity(
    const Rules *rules, const double *rule_state, ptrdiff_t m, double *eta)
{
    const double eps = rules->step_size_parameters[0];
    const double mean = rule_state[1] > 0.0 ? rule_state[0] / rule_state[1] : 0.0;
    eta[0] = sqrt(eps * eps + mean)
             / (rules->step_size_parameters[1] * sqrt((double)m));
}

static void observe_similarity(
    const Rules *rules, double *rule_state, const double *displacement,
    double distance, const double *grad_sq, ptrdiff_t m, double n_tasks)
{
    (void)displacement, (void)grad_sq, (void)n_tasks;
    const double weight = rules->step_size_parameters[1] * sqrt((double)m);
    rule_state[0] += weight * (distance * distance);
    rule_state[1] += weight;
}

/* ---- ARUBA: state is b, then g; parameters are eps, zeta, p, the factor of squared
 * gradients and the share of the state that is kept */

static ptrdiff_t aruba_state_size(ptrdiff_t n_etas) { return 2 * n_etas; }

static void propose_aruba(
    const Rules *rules, const double *rule_state, ptrdiff_t m, double *eta)
{
    (void)m;
    const double *b = rule_state, *g = rule_state + rules->n_etas;
    for (ptrdiff_t j = 0; j < rules->n_etas; j++) eta[j] = sqrt(b[j] / g[j]);
}

static void observe_aruba(
    const Rules *rules, double *rule_state, const double *displacement,
    double distance, const double *grad_sq, ptrdiff_t m, double n_tasks)
{
    (void)m;
    const ptrdiff_t n_etas = rules->n_etas;
    const double eps = rules->step_size_parameters[0];
    const double zeta = rules->step_size_parameters[1];
    const double fading = pow(n_tasks + 1.0, rules->step_size_parameters[2]);
    const double gradients = rules->step_size_parameters[3];
    const double kept = rules->step_size_parameters[4];
    double *b = rule_state, *g = rule_state + n_etas;
    for (ptrdiff_t j = 0; j < n_etas; j++) {
        const double length = n_etas > 1 ? displacement[j] : distance;
        b[j] = kept * b[j] + eps * eps / fading;
        b[j] += 0.5 * (length * length);
        g[j] = kept * g[j] + (gradients * grad_sq[j] + zeta * zeta / fading);
    }
}

static const StepSize step_sizes[] = {
    {"fixed", 0, 0, fixed_state_size, propose_fixed, observe_nothing},
    {"doubling", 1, 2, doubling_state_size, propose_doubling, observe_doubling},
    {"similarity_ftl", 1, 2, similarity_state_size, propose_similarity,
     observe_similarity},
    {"aruba", 0, 5, aruba_state_size, propose_aruba, observe_aruba},
    {NULL, 0, 0, NULL, NULL, NULL},
};

/* ---- FollowTheLeader: state is the sum of the weights so far */

static double share_of_leader(
    const double *parameters, const double *meta_state, double n_tasks, double weight)
{
    (void)parameters, (void)n_tasks;
    return weight / (meta_state[0] + weight);
}

static void add_weight(
    const double *parameters, double *meta_state, double n_tasks, double weight)
{
    (void)parameters, (void)n_tasks;
    meta_state[0] += weight;
}

/* ---- Discounted: state is the discounted sum of the weights and the number of tasks in
 * it; the parameter is the half-life */

static double discounted_sum(
    const double *parameters, const double *meta_state, double n_tasks, double weight)
{
    return meta_state[0] * pow(2.0, (meta_state[1] - n_tasks) / parameters[0]) + weight;
}

static double discounted_share(
    const double *parameters, const double *meta_state, double n_tasks, double weight)
{
    return weight / discounted_sum(parameters, meta_state, n_tasks, weight);
}

static void add_discounted(
    const double *parameters, double *meta_state, double n_tasks, double weight)
{
    meta_state[0] = discounted_sum(parameters, meta_state, n_tasks, weight);
    meta_state[1] = n_tasks;
}

/* ---- Constant: the parameter is the share */

static double constant_share(
    const double *parameters, const double *meta_state, double n_tasks, double weight)
{
    (void)meta_state, (void)n_tasks, (void)weight;
    return parameters[0];
}

static void add_nothing(
    const double *parameters, double *meta_state, double n_tasks, double weight)
{
    (void)parameters, (void)meta_state, (void)n_tasks, (void)weight;
}

/* ---- LinearDecay: parameters are the first and the final share, and n_tasks > 1 */

static double decaying_share(
    const double *parameters, const double *meta_state, double n_tasks, double weight)
{
    (void)meta_state, (void)weight;
    const double part = (n_tasks - 1.0) / (parameters[2] - 1.0);
    return parameters[0] + (part > 1.0 ? 1.0 : part) * (parameters[1] - parameters[0]);
}

static const MetaStepSize meta_step_sizes[] = {
    {"ftl", 0, 1, share_of_leader, add_weight},
    {"discounted", 1, 2, discounted_share, add_discounted},
    {"constant", 1, 0, constant_share, add_nothing},
    {"linear", 3, 0, decaying_share, add_nothing},
    {NULL, 0, 0, NULL, NULL},
};
