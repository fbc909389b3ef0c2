/* The Agent's side of a check run; `native_agent.py` says what it leaves out.

   A submission takes the way that it takes in the Agent. In the check's thread each tag is encoded and copied, and the
   copies are interned. A channel takes it to the aggregator's thread. There, an order-free hash of name, host and tags
   finds the context, and the context's sampler takes the value. A commit makes a series of each sampler that has
   something to tell, and expires contexts that two runs left out. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define RUNS_UNTIL_A_CONTEXT_EXPIRES 2
#define HEADS_AT_FIRST 1024
/* As many submissions as may wait for the aggregator. */
#define CHANNEL 100

/* Relative width of a bin of a distribution, and the lowest value that has one. */
#define BIN_RATIO 1.015625
#define LOWEST 1e-9

/* The first three are the numbers that the base package gives. */
enum type { GAUGE = 0, COUNT = 2, MONOTONIC_COUNT = 3, DISTRIBUTION = 4, ONE_OF_SEVERAL = 5 };
static const char *const TYPE_NAMES[] = {"gauge", "", "count", "monotonic_count", "distribution"};

/* Hash tables: everything that is looked up begins with a node. */

typedef struct node {
    struct node *next;
    uint64_t key;
} Node;

typedef struct {
    Node **heads;
    size_t size;
    size_t used;
} Table;

static void *allocated(void *memory) {
    if (memory == NULL)
        Py_FatalError("out of memory");
    return memory;
}

static Node *find(const Table *table, uint64_t key) {
    Node *node = table->size ? table->heads[key & (table->size - 1)] : NULL;
    while (node != NULL && node->key != key)
        node = node->next;
    return node;
}

static void grow(Table *table) {
    size_t size = table->size ? 2 * table->size : HEADS_AT_FIRST;
    Node **heads = allocated(calloc(size, sizeof *heads));
    for (size_t head = 0; head < table->size; head++) {
        for (Node *node = table->heads[head], *next; node != NULL; node = next) {
            next = node->next;
            node->next = heads[node->key & (size - 1)];
            heads[node->key & (size - 1)] = node;
        }
    }
    free(table->heads);
    table->heads = heads;
    table->size = size;
}

static void *put(Table *table, uint64_t key, size_t bytes) {
    if (table->used == table->size)
        grow(table);
    Node *node = allocated(calloc(1, bytes));
    Node **head = &table->heads[key & (table->size - 1)];
    node->key = key;
    node->next = *head;
    *head = node;
    table->used++;
    return node;
}

/* Remove each node for which `is_gone` holds after what it owns has been given back. */
static void sweep(Table *table, int (*is_gone)(Node *, void *), void *argument) {
    for (size_t head = 0; head < table->size; head++) {
        Node **place = &table->heads[head];
        while (*place != NULL) {
            Node *node = *place;
            if (is_gone(node, argument)) {
                *place = node->next;
                free(node);
                table->used--;
            } else {
                place = &node->next;
            }
        }
    }
}

static uint64_t mixed(uint64_t value) {
    value = (value ^ (value >> 31)) * 0x9e3779b97f4a7c15ULL;
    return value ^ (value >> 29);
}

static uint64_t hash_of(const char *bytes, size_t length, uint64_t seed) {
    uint64_t hash = mixed(seed ^ length);
    for (; length >= 8; bytes += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        hash = mixed(hash ^ word);
    }
    uint64_t rest = 0;
    memcpy(&rest, bytes, length);
    return mixed(hash ^ rest);
}

/* What there is in the tables. */

typedef struct {
    Node node;
    size_t length;
    char bytes[];
} Text;

typedef struct {
    Node node;
    const Text *name;
    const Text *host;
    const Text **tags;
    size_t tag_count;
    long last_seen;
} Context;

typedef struct {
    Node node;
    enum type type;
    int has_value;
    int has_previous;
    int flush_first_value;
    double value;
    double previous;
    double rise;
} Sampler;

typedef struct {
    int32_t bin;
    uint32_t count;
} Bin;

typedef struct last {
    struct last *next;
    double lower;
    double upper;
    long long value;
} Last;

typedef struct {
    Node node;
    Last *last;
    Bin *bins;
    size_t bin_count;
    uint64_t observations;
} Distribution;

typedef struct {
    const Text *name;
    const Text *host;
    const Text **tags;
    size_t tag_count;
    enum type type;
    double timestamp;
    double value;
    Bin *bins;
} Series;

enum kind { METRIC, BUCKET, COMMIT, STOP };

/* What the channel takes: a sample of either kind, or an order. */
typedef struct {
    enum kind kind;
    enum type type;
    const Text *name;
    const Text *host;
    const Text **tags;
    size_t tag_count;
    double value;
    double lower;
    double upper;
    long long observations;
    int monotonic;
    int flush_first_value;
} Item;

typedef struct {
    PyObject_HEAD
    /* Of the check's thread. */
    Table texts;
    /* Of both. */
    pthread_t aggregator;
    pthread_mutex_t lock;
    pthread_cond_t has_items;
    pthread_cond_t has_room;
    Item channel[CHANNEL];
    size_t sent;
    size_t taken;
    size_t done;
    /* Of the aggregator's; of the check's after a commit. */
    Table contexts;
    Table samplers;
    Table distributions;
    Series **series;
    size_t series_count;
    size_t series_room;
    long run;
} Agent;

static const Text *interned(Agent *agent, const char *bytes, size_t length) {
    uint64_t key = hash_of(bytes, length, 1);
    Node *node = find(&agent->texts, key);
    for (; node != NULL; node = node->next) {
        Text *text = (Text *)node;
        if (node->key == key && text->length == length && memcmp(text->bytes, bytes, length) == 0)
            return text;
    }
    Text *text = put(&agent->texts, key, sizeof *text + length + 1);
    text->length = length;
    memcpy(text->bytes, bytes, length);
    return text;
}

/* Name, host and tags of one submission. */

static char *copy_of(PyObject *tag) {
    PyObject *encoded = PyUnicode_Check(tag) ? PyUnicode_AsEncodedString(tag, "utf-8", "strict") : Py_NewRef(tag);
    if (encoded == NULL)
        return NULL;
    char *copy = NULL;
    if (PyBytes_Check(encoded))
        copy = allocated(strdup(PyBytes_AS_STRING(encoded)));
    else
        PyErr_SetString(PyExc_TypeError, "a tag must be text or bytes");
    Py_DECREF(encoded);
    return copy;
}

/* Copy the tags, all before the first is interned: they come from Python's side in one piece. */
static char **copies_of(PyObject *given, size_t *count) {
    PyObject *sequence = PySequence_Fast(given, "tags must be a sequence");
    if (sequence == NULL)
        return NULL;
    size_t size = (size_t)PySequence_Fast_GET_SIZE(sequence);
    char **copies = allocated(calloc(size + 1, sizeof *copies));
    for (*count = 0; *count < size; (*count)++) {
        copies[*count] = copy_of(PySequence_Fast_GET_ITEM(sequence, (Py_ssize_t)*count));
        if (copies[*count] == NULL)
            break;
    }
    Py_DECREF(sequence);
    if (*count == size)
        return copies;
    while (*count)
        free(copies[--*count]);
    free(copies);
    return NULL;
}

static int name_item(Agent *agent, Item *item, const char *name, const char *hostname, PyObject *tags) {
    char **copies = copies_of(tags, &item->tag_count);
    if (copies == NULL)
        return -1;
    item->name = interned(agent, name, strlen(name));
    item->host = interned(agent, hostname, strlen(hostname));
    item->tags = allocated(malloc((item->tag_count + 1) * sizeof *item->tags));
    for (size_t number = 0; number < item->tag_count; number++) {
        item->tags[number] = interned(agent, copies[number], strlen(copies[number]));
        free(copies[number]);
    }
    free(copies);
    return 0;
}

/* The channel. */

static void put_item(Agent *agent, const Item *item) {
    pthread_mutex_lock(&agent->lock);
    while (agent->sent - agent->taken == CHANNEL)
        pthread_cond_wait(&agent->has_room, &agent->lock);
    agent->channel[agent->sent++ % CHANNEL] = *item;
    pthread_cond_signal(&agent->has_items);
    pthread_mutex_unlock(&agent->lock);
}

static Item next_item(Agent *agent) {
    pthread_mutex_lock(&agent->lock);
    agent->done = agent->taken;
    pthread_cond_signal(&agent->has_room);
    while (agent->sent == agent->taken)
        pthread_cond_wait(&agent->has_items, &agent->lock);
    Item item = agent->channel[agent->taken++ % CHANNEL];
    pthread_mutex_unlock(&agent->lock);
    return item;
}

static void wait_until_done(Agent *agent) {
    pthread_mutex_lock(&agent->lock);
    while (agent->done < agent->sent)
        pthread_cond_wait(&agent->has_room, &agent->lock);
    pthread_mutex_unlock(&agent->lock);
}

/* Contexts. */

/* Return the key of a context, and keep distinct tags only: neither order nor repetition matter. */
static uint64_t key_of(Item *item) {
    uint64_t key = hash_of(item->name->bytes, item->name->length, 2);
    key ^= mixed(hash_of(item->host->bytes, item->host->length, 3));
    size_t distinct = 0;
    for (size_t number = 0; number < item->tag_count; number++) {
        const Text *tag = item->tags[number];
        size_t other = 0;
        while (other < distinct && item->tags[other] != tag)
            other++;
        if (other == distinct) {
            item->tags[distinct++] = tag;
            key ^= hash_of(tag->bytes, tag->length, 4);
        }
    }
    item->tag_count = distinct;
    return key;
}

/* Note that a context was sampled in this run, and return its key. */
static uint64_t track(Agent *agent, Item *item) {
    uint64_t key = key_of(item);
    Context *context = (Context *)find(&agent->contexts, key);
    if (context == NULL) {
        context = put(&agent->contexts, key, sizeof *context);
        context->name = item->name;
        context->host = item->host;
        context->tags = item->tags;
        context->tag_count = item->tag_count;
        item->tags = NULL;
    }
    context->last_seen = agent->run;
    return key;
}

/* Samplers of gauges and counts. */

static void add(Sampler *sampler, double value, int flush_first_value) {
    if (sampler->type == GAUGE) {
        sampler->value = value;
    } else if (sampler->type == COUNT) {
        sampler->value = sampler->has_value ? sampler->value + value : value;
    } else {
        if (sampler->has_value) {
            sampler->previous = sampler->value;
            sampler->has_previous = 1;
        }
        sampler->value = value;
        sampler->flush_first_value = flush_first_value;
        double start = sampler->has_previous ? sampler->previous : 0.0;
        if (value < start)
            sampler->rise = flush_first_value ? value : sampler->rise;
        else if (sampler->has_previous || flush_first_value)
            sampler->rise += value - start;
    }
    sampler->has_value = 1;
}

static int flush(Sampler *sampler, double *value) {
    if (!sampler->has_value)
        return 0;
    if (sampler->type == MONOTONIC_COUNT) {
        if (!sampler->has_previous && !sampler->flush_first_value)
            return 0;
        *value = sampler->rise;
        sampler->previous = sampler->value;
        sampler->has_previous = 1;
        sampler->rise = 0.0;
        sampler->flush_first_value = 0;
    } else {
        *value = sampler->value;
    }
    sampler->has_value = 0;
    return 1;
}

/* Distributions. */

static int32_t bin_of(double value) {
    return value < LOWEST || !isfinite(value) ? 0 : 1 + (int32_t)(log(value / LOWEST) / log(BIN_RATIO));
}

/* Spread observations evenly between two bounds, in whole numbers, and return the bins that got any. */
static size_t spread(double lower, double upper, uint64_t count, Bin **bins) {
    int32_t first = bin_of(lower), last = bin_of(upper);
    *bins = allocated(malloc((size_t)(last - first + 1) * sizeof **bins));
    size_t used = 0;
    uint64_t given = 0;
    double edge = first ? LOWEST * pow(BIN_RATIO, first) : LOWEST;
    for (int32_t bin = first; bin < last && given < count; bin++, edge *= BIN_RATIO) {
        double share = edge > lower ? (edge - lower) / (upper - lower) : 0.0;
        uint64_t until_here = (uint64_t)(share * (double)count);
        if (until_here > given && until_here <= count) {
            (*bins)[used++] = (Bin){bin, (uint32_t)(until_here - given)};
            given = until_here;
        }
    }
    if (given < count)
        (*bins)[used++] = (Bin){last, (uint32_t)(count - given)};
    return used;
}

static void merge(Distribution *into, const Bin *bins, size_t count) {
    Bin *merged = allocated(malloc((into->bin_count + count) * sizeof *merged));
    size_t old = 0, new = 0, used = 0;
    while (old < into->bin_count || new < count) {
        if (new == count || (old < into->bin_count && into->bins[old].bin < bins[new].bin)) {
            merged[used++] = into->bins[old++];
        } else if (old == into->bin_count || bins[new].bin < into->bins[old].bin) {
            merged[used++] = bins[new++];
        } else {
            merged[used] = into->bins[old++];
            merged[used++].count += bins[new++].count;
        }
    }
    free(into->bins);
    into->bins = merged;
    into->bin_count = used;
}

/* Return what a monotonic bucket has observed since it was submitted last. */
static long long observed(Distribution *distribution, const Item *item) {
    Last *last = distribution->last;
    /* One of a context's several buckets is known by its bounds; else there is one last value for all. */
    while (last != NULL && item->type == ONE_OF_SEVERAL && !(last->lower == item->lower && last->upper == item->upper))
        last = last->next;
    if (last == NULL) {
        last = allocated(malloc(sizeof *last));
        *last = (Last){distribution->last, item->lower, item->upper, item->observations};
        distribution->last = last;
        return item->flush_first_value ? item->observations : 0;
    }
    long long rise = item->observations - last->value;
    last->value = item->observations;
    return rise < 0 && item->flush_first_value ? item->observations : rise;
}

static void free_last(Distribution *distribution) {
    for (Last *last = distribution->last, *next; last != NULL; last = next) {
        next = last->next;
        free(last);
    }
    distribution->last = NULL;
}

/* What the aggregator does. */

static void take_metric(Agent *agent, Item *item) {
    uint64_t key = track(agent, item);
    Sampler *sampler = (Sampler *)find(&agent->samplers, key);
    if (sampler == NULL) {
        sampler = put(&agent->samplers, key, sizeof *sampler);
        sampler->type = item->type;
    }
    add(sampler, item->value, item->flush_first_value);
}

static void take_bucket(Agent *agent, Item *item) {
    uint64_t key = track(agent, item);
    Distribution *distribution = (Distribution *)find(&agent->distributions, key);
    if (distribution == NULL)
        distribution = put(&agent->distributions, key, sizeof *distribution);
    long long count = item->monotonic ? observed(distribution, item) : item->observations;
    if (count <= 0)
        return;
    /* What has no upper bound counts at the lower one, and the other way round. */
    double lower = isinf(item->lower) ? item->upper : item->lower;
    double upper = isinf(item->upper) ? item->lower : item->upper;
    Bin *bins;
    size_t bin_count = spread(lower, upper, (uint64_t)count, &bins);
    merge(distribution, bins, bin_count);
    distribution->observations += (uint64_t)count;
    free(bins);
}

static Series *add_series(Agent *agent, uint64_t key, enum type type, double timestamp, double value) {
    const Context *context = (Context *)find(&agent->contexts, key);
    if (agent->series_count == agent->series_room) {
        agent->series_room = agent->series_room ? 2 * agent->series_room : HEADS_AT_FIRST;
        agent->series = allocated(realloc(agent->series, agent->series_room * sizeof *agent->series));
    }
    Series *series = allocated(malloc(sizeof *series));
    *series = (Series){context->name, context->host, NULL, context->tag_count, type, timestamp, value, NULL};
    series->tags = allocated(malloc((context->tag_count + 1) * sizeof *series->tags));
    memcpy(series->tags, context->tags, context->tag_count * sizeof *series->tags);
    agent->series[agent->series_count++] = series;
    return series;
}

static void drop_series(Agent *agent) {
    for (size_t number = 0; number < agent->series_count; number++) {
        free(agent->series[number]->bins);
        free(agent->series[number]->tags);
        free(agent->series[number]);
    }
    agent->series_count = 0;
}

/* A context's last buckets and its gauge or count go with it; a monotonic count stays for a day. */

static int is_expired(Node *node, void *argument) {
    Agent *agent = argument;
    Context *context = (Context *)node;
    if (context->last_seen > agent->run - RUNS_UNTIL_A_CONTEXT_EXPIRES)
        return 0;
    free(context->tags);
    return 1;
}

static int is_of_no_context(Node *node, void *argument) {
    Agent *agent = argument;
    return ((Sampler *)node)->type != MONOTONIC_COUNT && find(&agent->contexts, node->key) == NULL;
}

static int is_distribution_of_no_context(Node *node, void *argument) {
    Agent *agent = argument;
    if (find(&agent->contexts, node->key) != NULL)
        return 0;
    free_last((Distribution *)node);
    return 1;
}

static void flush_all(Agent *agent, double timestamp) {
    drop_series(agent);
    for (size_t head = 0; head < agent->samplers.size; head++) {
        for (Node *node = agent->samplers.heads[head]; node != NULL; node = node->next) {
            double value;
            if (flush((Sampler *)node, &value))
                add_series(agent, node->key, ((Sampler *)node)->type, timestamp, value);
        }
    }
    for (size_t head = 0; head < agent->distributions.size; head++) {
        for (Node *node = agent->distributions.heads[head]; node != NULL; node = node->next) {
            Distribution *distribution = (Distribution *)node;
            if (distribution->observations) {
                double observations = (double)distribution->observations;
                add_series(agent, node->key, DISTRIBUTION, timestamp, observations)->bins = distribution->bins;
                distribution->bins = NULL;
                distribution->bin_count = 0;
                distribution->observations = 0;
            }
        }
    }
    size_t contexts = agent->contexts.used;
    sweep(&agent->contexts, is_expired, agent);
    if (agent->contexts.used < contexts) {
        sweep(&agent->samplers, is_of_no_context, agent);
        sweep(&agent->distributions, is_distribution_of_no_context, agent);
    }
    agent->run++;
}

static void *aggregate(void *argument) {
    Agent *agent = argument;
    for (;;) {
        Item item = next_item(agent);
        switch (item.kind) {
        case METRIC:
            take_metric(agent, &item);
            break;
        case BUCKET:
            take_bucket(agent, &item);
            break;
        case COMMIT:
            flush_all(agent, item.value);
            break;
        case STOP:
            return NULL;
        }
        free(item.tags);
    }
}

/* What Python calls. */

static PyObject *submit_metric(Agent *agent, PyObject *args) {
    Item item = {.kind = METRIC};
    PyObject *check, *tags;
    const char *check_id, *name, *hostname;
    int type;
    if (!PyArg_ParseTuple(
            args, "OsisdOsp", &check, &check_id, &type, &name, &item.value, &tags, &hostname, &item.flush_first_value
        ))
        return NULL;
    if (type != GAUGE && type != COUNT && type != MONOTONIC_COUNT)
        return PyErr_Format(PyExc_ValueError, "type %d is not modelled", type);
    item.type = (enum type)type;
    if (name_item(agent, &item, name, hostname, tags))
        return NULL;
    if (isfinite(item.value))
        put_item(agent, &item);
    else
        free(item.tags);
    Py_RETURN_NONE;
}

static PyObject *submit_bucket(Agent *agent, PyObject *args, enum type type) {
    Item item = {.kind = BUCKET, .type = type};
    PyObject *check, *tags;
    const char *check_id, *name, *hostname;
    if (!PyArg_ParseTuple(
            args, "OssLddpsO|p", &check, &check_id, &name, &item.observations, &item.lower, &item.upper,
            &item.monotonic, &hostname, &tags, &item.flush_first_value
        ))
        return NULL;
    if (name_item(agent, &item, name, hostname, tags))
        return NULL;
    if (item.observations > 0 && item.upper >= item.lower)
        put_item(agent, &item);
    else
        free(item.tags);
    Py_RETURN_NONE;
}

static PyObject *submit_histogram_bucket(Agent *agent, PyObject *args) {
    return submit_bucket(agent, args, DISTRIBUTION);
}

static PyObject *submit_histogram_bucket_multi(Agent *agent, PyObject *args) {
    return submit_bucket(agent, args, ONE_OF_SEVERAL);
}

static PyObject *submit_service_check(Agent *agent, PyObject *args) { Py_RETURN_NONE; }

static PyObject *commit(Agent *agent, PyObject *args) {
    Item item = {.kind = COMMIT};
    if (!PyArg_ParseTuple(args, "d", &item.value))
        return NULL;
    put_item(agent, &item);
    wait_until_done(agent);
    return PyLong_FromSize_t(agent->series_count);
}

static PyObject *flushed(Agent *agent, PyObject *ignored) {
    PyObject *all = PyList_New((Py_ssize_t)agent->series_count);
    for (size_t number = 0; all != NULL && number < agent->series_count; number++) {
        const Series *series = agent->series[number];
        PyObject *tags = PyTuple_New((Py_ssize_t)series->tag_count);
        for (size_t tag = 0; tags != NULL && tag < series->tag_count; tag++)
            PyTuple_SET_ITEM(tags, (Py_ssize_t)tag, PyUnicode_FromString(series->tags[tag]->bytes));
        PyObject *one = Py_BuildValue(
            "(ssNsd)", TYPE_NAMES[series->type], series->name->bytes, tags, series->host->bytes, series->value
        );
        if (one == NULL)
            Py_CLEAR(all);
        else
            PyList_SET_ITEM(all, (Py_ssize_t)number, one);
    }
    return all;
}

static int always(Node *node, void *ignored) { return 1; }

static PyObject *create(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    Agent *agent = (Agent *)type->tp_alloc(type, 0);
    if (agent == NULL)
        return NULL;
    pthread_mutex_init(&agent->lock, NULL);
    pthread_cond_init(&agent->has_items, NULL);
    pthread_cond_init(&agent->has_room, NULL);
    if (pthread_create(&agent->aggregator, NULL, aggregate, agent))
        Py_FatalError("no thread for the aggregator");
    return (PyObject *)agent;
}

static void deallocate(Agent *agent) {
    put_item(agent, &(Item){.kind = STOP});
    pthread_join(agent->aggregator, NULL);
    drop_series(agent);
    free(agent->series);
    agent->run += RUNS_UNTIL_A_CONTEXT_EXPIRES;
    sweep(&agent->contexts, is_expired, agent);
    for (size_t head = 0; head < agent->distributions.size; head++) {
        for (Node *node = agent->distributions.heads[head]; node != NULL; node = node->next) {
            free_last((Distribution *)node);
            free(((Distribution *)node)->bins);
        }
    }
    Table *tables[] = {&agent->texts, &agent->contexts, &agent->samplers, &agent->distributions};
    for (size_t number = 0; number < sizeof tables / sizeof *tables; number++) {
        sweep(tables[number], always, NULL);
        free(tables[number]->heads);
    }
    PyTypeObject *type = Py_TYPE(agent);
    type->tp_free(agent);
    Py_DECREF(type);
}

static PyMethodDef METHODS[] = {
    {"submit_metric", (PyCFunction)submit_metric, METH_VARARGS, "Take a gauge, count or monotonic count."},
    {"submit_histogram_bucket", (PyCFunction)submit_histogram_bucket, METH_VARARGS, "Take a bucket."},
    {"submit_histogram_bucket_multi", (PyCFunction)submit_histogram_bucket_multi, METH_VARARGS,
     "Take one of a context's buckets."},
    {"submit_service_check", (PyCFunction)submit_service_check, METH_VARARGS, "Do nothing."},
    {"commit", (PyCFunction)commit, METH_VARARGS, "End a check run at this time; return the number of series."},
    {"flushed", (PyCFunction)flushed, METH_NOARGS,
     "Return the last commit's series: type, name, tags, hostname and value."},
    {NULL},
};

static PyType_Slot SLOTS[] = {{Py_tp_new, create}, {Py_tp_dealloc, deallocate}, {Py_tp_methods, METHODS}, {0, NULL}};

static PyType_Spec SPEC = {
    .name = "agent.Agent", .basicsize = sizeof(Agent), .flags = Py_TPFLAGS_DEFAULT, .slots = SLOTS
};

static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, .m_name = "agent", .m_size = -1};

PyMODINIT_FUNC PyInit_agent(void) {
    PyObject *module = PyModule_Create(&MODULE);
    PyObject *type = module == NULL ? NULL : PyType_FromSpec(&SPEC);
    if (type == NULL || PyModule_AddObjectRef(module, "Agent", type) < 0)
        Py_CLEAR(module);
    Py_XDECREF(type);
    return module;
}
