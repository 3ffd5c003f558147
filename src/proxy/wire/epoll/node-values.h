// Values of JavaScript as those of C and back, for the addons here.

#pragma once

#define NAPI_VERSION 8
#include <node_api.h>

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { MOST_INTS = 5 };

static inline napi_value int_of(napi_env env, int value) {
  napi_value result;
  napi_create_int32(env, value, &result);
  return result;
}

// Of a system call.
static inline napi_value status_of(napi_env env, ssize_t result) {
  return int_of(env, result < 0 ? -errno : (int)result);
}

static inline int int_at(napi_env env, napi_value value) {
  int32_t result = -1;
  napi_get_value_int32(env, value, &result);
  return result;
}

// The arguments of a function that has numbers only.
static inline void take_ints(napi_env env, napi_callback_info info, size_t count, int *out) {
  napi_value values[MOST_INTS];
  size_t given = count;
  napi_get_cb_info(env, info, &given, values, NULL, NULL);
  for (size_t i = 0; i < count; i++) out[i] = int_at(env, values[i]);
}

struct function {
  const char *name;
  napi_callback call;
};

static inline napi_value export_functions(napi_env env, napi_value exports, const struct function *functions,
                                          size_t count) {
  for (size_t i = 0; i < count; i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL, &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}
