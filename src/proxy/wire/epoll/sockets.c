// System calls on TCP sockets for `Poller` and `EpollHandle`, past libuv's handles: what is ready comes in one call, and no
// object is made for a connection (docs/decisions/0032-sockets-past-libuv.md).
//
// Results below 0 are errors of the system (-errno), the numbers that libuv has for them on Linux. Nothing here keeps a pointer
// to memory of JavaScript between two calls, but to the array that `start` is given, which it holds.

#define _GNU_SOURCE
#include "node-values.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

// Node exports libuv to addons, and Node-API has no header for it: this is what it takes to be told of a descriptor.
enum { UV_READABLE = 1, UV_POLL = 8 };
extern int uv_poll_init(void *loop, void *handle, int fd);
extern int uv_poll_start(void *handle, int events, void (*callback)(void *, int, int));
extern size_t uv_handle_size(int type);
extern const char *uv_handle_type_name(int type);
extern void uv_ref(void *handle);
extern void uv_unref(void *handle);

// Three numbers each: slot, generation, what is ready. `poller.ts` has both numbers too.
enum { MOST_EVENTS = 512, EVENT_INTS = 3 };
// `epoll-handle.ts` sends longer texts as bytes.
enum { TEXT_BYTES = 64 * 1024 };

static struct {
  napi_env env;
  napi_ref on_ready;
  napi_ref events_ref;
  int32_t *events;
  void *poll;
  int epoll;
  // A descriptor to spare, for when there is none (see `drop_one`).
  int spare;
  struct sockaddr_storage name;
} state = {.epoll = -1, .spare = -1};

// What is ready -----------------------------------------------------------------------------------------------------

static int take_events(void) {
  struct epoll_event events[MOST_EVENTS];
  const int count = epoll_wait(state.epoll, events, MOST_EVENTS, 0);
  for (int i = 0; i < count; i++) {
    int32_t *out = state.events + EVENT_INTS * i;
    out[0] = (int32_t)(uint32_t)events[i].data.u64;
    out[1] = (int32_t)(uint32_t)(events[i].data.u64 >> 32);
    out[2] = (int32_t)events[i].events;
  }
  return count;
}

// As Node calls back from its own handles: what was promised runs after it, and what it throws is an uncaught exception.
static void on_readable(void *handle, int status, int ready) {
  (void)handle, (void)status, (void)ready;
  const int count = take_events();
  if (count <= 0) return;
  napi_env env = state.env;
  napi_handle_scope scope;
  napi_value function, global, error, argument;
  napi_open_handle_scope(env, &scope);
  argument = int_of(env, count);
  napi_get_reference_value(env, state.on_ready, &function);
  napi_get_global(env, &global);
  if (napi_make_callback(env, NULL, global, function, 1, &argument, NULL) == napi_pending_exception) {
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

static int begin(napi_env env) {
  if (state.epoll >= 0) return -EALREADY;
  // The number of another type in another libuv.
  const char *type = uv_handle_type_name(UV_POLL);
  if (type == NULL || strcmp(type, "poll") != 0) return -ENOSYS;
  struct uv_loop_s *loop = NULL;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return -ENOSYS;
  state.env = env;
  state.poll = calloc(1, uv_handle_size(UV_POLL));
  if (state.poll == NULL) return -ENOMEM;
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return -errno;
  int status = uv_poll_init(loop, state.poll, epoll);
  if (status == 0) status = uv_poll_start(state.poll, UV_READABLE, on_readable);
  if (status < 0) return status;
  uv_unref(state.poll);
  state.epoll = epoll;
  state.spare = open("/", O_RDONLY | O_CLOEXEC);
  return 0;
}

// start(events: Int32Array, onReady: (count) => void): status
static napi_value start(napi_env env, napi_callback_info info) {
  napi_value values[2];
  size_t count = 2, length = 0;
  napi_typedarray_type type = napi_uint8_array;
  void *events = NULL;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  napi_get_typedarray_info(env, values[0], &type, &length, &events, NULL, NULL);
  if (type != napi_int32_array || length < EVENT_INTS * MOST_EVENTS) return int_of(env, -EINVAL);
  const int status = begin(env);
  if (status < 0) return int_of(env, status);
  state.events = events;
  napi_create_reference(env, values[0], 1, &state.events_ref);
  napi_create_reference(env, values[1], 1, &state.on_ready);
  return int_of(env, 0);
}

// wait(): how many descriptors are ready by now
static napi_value wait_for_none(napi_env env, napi_callback_info info) {
  (void)info;
  return int_of(env, take_events());
}

// hold(on): keeps the event loop running, or lets it end
static napi_value hold(napi_env env, napi_callback_info info) {
  int on[1];
  take_ints(env, info, 1, on);
  if (on[0] != 0) uv_ref(state.poll);
  else uv_unref(state.poll);
  return NULL;
}

static napi_value control(napi_env env, napi_callback_info info, int operation) {
  int in[4];
  take_ints(env, info, 4, in);
  const uint64_t owner = (uint64_t)(uint32_t)in[2] << 32 | (uint32_t)in[1];
  struct epoll_event event = {.events = (uint32_t)in[3], .data.u64 = owner};
  return status_of(env, epoll_ctl(state.epoll, operation, in[0], &event));
}

// watch(fd, slot, generation, events): status
static napi_value watch(napi_env env, napi_callback_info info) { return control(env, info, EPOLL_CTL_ADD); }

// change(fd, slot, generation, events): status
static napi_value change(napi_env env, napi_callback_info info) { return control(env, info, EPOLL_CTL_MOD); }

// leave(fd): status
static napi_value leave(napi_env env, napi_callback_info info) {
  int fd[1];
  take_ints(env, info, 1, fd);
  return status_of(env, epoll_ctl(state.epoll, EPOLL_CTL_DEL, fd[0], NULL));
}

// Names ---------------------------------------------------------------------------------------------------------------

// port(): of the name that `accept` or `name` has asked for last
static napi_value port_of_name(napi_env env, napi_callback_info info) {
  (void)info;
  in_port_t port = 0;
  if (state.name.ss_family == AF_INET) port = ((const struct sockaddr_in *)&state.name)->sin_port;
  if (state.name.ss_family == AF_INET6) port = ((const struct sockaddr_in6 *)&state.name)->sin6_port;
  return int_of(env, ntohs(port));
}

// address(): the same, as text; '' when it has none
static napi_value address_of_name(napi_env env, napi_callback_info info) {
  (void)info;
  char text[INET6_ADDRSTRLEN] = "";
  const void *address = NULL;
  if (state.name.ss_family == AF_INET) address = &((const struct sockaddr_in *)&state.name)->sin_addr;
  if (state.name.ss_family == AF_INET6) address = &((const struct sockaddr_in6 *)&state.name)->sin6_addr;
  if (address != NULL) inet_ntop(state.name.ss_family, address, text, sizeof text);
  napi_value result;
  napi_create_string_latin1(env, text, NAPI_AUTO_LENGTH, &result);
  return result;
}

// name(fd, peer): status
static napi_value name(napi_env env, napi_callback_info info) {
  int in[2];
  take_ints(env, info, 2, in);
  socklen_t length = sizeof state.name;
  struct sockaddr *out = (struct sockaddr *)&state.name;
  memset(&state.name, 0, sizeof state.name);
  return status_of(env, in[1] != 0 ? getpeername(in[0], out, &length) : getsockname(in[0], out, &length));
}

// Connections that begin ----------------------------------------------------------------------------------------------

// listen(fd, backlog): status
static napi_value listen_on(napi_env env, napi_callback_info info) {
  int in[2];
  take_ints(env, info, 2, in);
  return status_of(env, listen(in[0], in[1]));
}

// The kernel offers a connection again and again for which no descriptor is left: one is taken with the spare one, and closed.
static void drop_one(int listening) {
  if (state.spare >= 0) close(state.spare);
  const int dropped = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
  if (dropped >= 0) close(dropped);
  state.spare = open("/", O_RDONLY | O_CLOEXEC);
}

// accept(fd): descriptor
static napi_value accept_one(napi_env env, napi_callback_info info) {
  int listening[1];
  take_ints(env, info, 1, listening);
  socklen_t length = sizeof state.name;
  memset(&state.name, 0, sizeof state.name);
  const int fd = accept4(listening[0], (struct sockaddr *)&state.name, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) return int_of(env, fd);
  const int status = -errno;
  if (status == -EMFILE || status == -ENFILE) drop_one(listening[0]);
  return int_of(env, status);
}

// open(family): the descriptor of a socket
static napi_value open_socket(napi_env env, napi_callback_info info) {
  int family[1];
  take_ints(env, info, 1, family);
  const int domain = family[0] == 6 ? AF_INET6 : AF_INET;
  return status_of(env, socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
}

// connect(fd, address, port): status; 0 also where it goes on
static napi_value connect_to(napi_env env, napi_callback_info info) {
  napi_value values[3];
  size_t count = 3;
  char text[INET6_ADDRSTRLEN] = "";
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  napi_get_value_string_latin1(env, values[1], text, sizeof text, NULL);
  const in_port_t port = htons((uint16_t)int_at(env, values[2]));
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = port};
  int result;
  if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
    result = connect(int_at(env, values[0]), (const struct sockaddr *)&v4, sizeof v4);
  else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
    result = connect(int_at(env, values[0]), (const struct sockaddr *)&v6, sizeof v6);
  else return int_of(env, -EINVAL);
  return result < 0 && errno == EINPROGRESS ? int_of(env, 0) : status_of(env, result);
}

// error(fd): what has become of a connect
static napi_value pending_error(napi_env env, napi_callback_info info) {
  int fd[1], error = 0;
  take_ints(env, info, 1, fd);
  socklen_t length = sizeof error;
  if (getsockopt(fd[0], SOL_SOCKET, SO_ERROR, &error, &length) < 0) error = errno;
  return int_of(env, -error);
}

// Bytes -----------------------------------------------------------------------------------------------------------------

// receive(fd, buffer): how many bytes came, 0 at the end
static napi_value receive(napi_env env, napi_callback_info info) {
  napi_value values[2];
  size_t count = 2, length = 0;
  void *bytes = NULL;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  if (napi_get_buffer_info(env, values[1], &bytes, &length) != napi_ok || length == 0)
    return int_of(env, -EINVAL);
  return status_of(env, recv(int_at(env, values[0]), bytes, length, MSG_DONTWAIT));
}

// sendText(fd, text): how many of its first TEXT_BYTES - 1 characters, all of them Latin-1, were taken
static napi_value send_text(napi_env env, napi_callback_info info) {
  static char text[TEXT_BYTES];
  napi_value values[2];
  size_t count = 2, length = 0;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  napi_get_value_string_latin1(env, values[1], text, sizeof text, &length);
  return status_of(env, send(int_at(env, values[0]), text, length, MSG_NOSIGNAL | MSG_DONTWAIT));
}

// sendBytes(fd, bytes: Uint8Array, start, end): how many of those from `start` to `end` were taken
static napi_value send_bytes(napi_env env, napi_callback_info info) {
  napi_value values[4];
  size_t count = 4, length = 0;
  void *bytes = NULL;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  const int start = int_at(env, values[2]), end = int_at(env, values[3]);
  if (napi_get_buffer_info(env, values[1], &bytes, &length) != napi_ok || start < 0 || end < start ||
      (size_t)end > length)
    return int_of(env, -EINVAL);
  const size_t left = (size_t)(end - start);
  return status_of(env, send(int_at(env, values[0]), (char *)bytes + start, left, MSG_NOSIGNAL | MSG_DONTWAIT));
}

// The end, and options --------------------------------------------------------------------------------------------------

// shutdown(fd): status
static napi_value shut_down(napi_env env, napi_callback_info info) {
  int fd[1];
  take_ints(env, info, 1, fd);
  return status_of(env, shutdown(fd[0], SHUT_WR));
}

// close(fd, reset): status
static napi_value close_one(napi_env env, napi_callback_info info) {
  int in[2];
  take_ints(env, info, 2, in);
  const struct linger none = {.l_onoff = 1, .l_linger = 0};
  if (in[1] != 0) setsockopt(in[0], SOL_SOCKET, SO_LINGER, &none, sizeof none);
  return status_of(env, close(in[0]));
}

// setNoDelay(fd, on): status
static napi_value set_no_delay(napi_env env, napi_callback_info info) {
  int in[2];
  take_ints(env, info, 2, in);
  return status_of(env, setsockopt(in[0], IPPROTO_TCP, TCP_NODELAY, &in[1], sizeof in[1]));
}

// setKeepAlive(fd, on, delay, interval, count): status; seconds
static napi_value set_keep_alive(napi_env env, napi_callback_info info) {
  static const int names[] = {TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT};
  int in[5];
  take_ints(env, info, 5, in);
  int result = setsockopt(in[0], SOL_SOCKET, SO_KEEPALIVE, &in[1], sizeof in[1]);
  for (int i = 0; in[1] != 0 && i < 3 && result == 0; i++)
    result = setsockopt(in[0], IPPROTO_TCP, names[i], &in[2 + i], sizeof in[2 + i]);
  return status_of(env, result);
}

NAPI_MODULE_INIT() {
  static const struct function functions[] = {
      {"start", start},         {"wait", wait_for_none},         {"hold", hold},
      {"watch", watch},         {"change", change},              {"leave", leave},
      {"name", name},           {"address", address_of_name},    {"port", port_of_name},
      {"listen", listen_on},    {"accept", accept_one},          {"open", open_socket},
      {"connect", connect_to},  {"error", pending_error},        {"receive", receive},
      {"sendText", send_text},  {"sendBytes", send_bytes},       {"shutdown", shut_down},
      {"close", close_one},     {"setNoDelay", set_no_delay},    {"setKeepAlive", set_keep_alive},
  };
  return export_functions(env, exports, functions, sizeof functions / sizeof *functions);
}
