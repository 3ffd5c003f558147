// TLS of accepted connections past libuv's handles, for `EpollTls`: what `sockets.c` does with bytes, with OpenSSL between.
//
// A connection is known by its descriptor, as there. Results below 0 are errors of the system (-errno); EPROTO is one of TLS,
// which `failure` tells of. JavaScript is never called from here, and no pointer to its memory is kept between two calls, but to
// the array that `start` is given, which it holds.

#include "tls-connection.h"
#include "tls-context.h"

#include <stdlib.h>
#include <string.h>

// By descriptor.
static struct connection **connections;
static int room;
static napi_ref state_ref;

static struct connection *connection_of(int fd) { return fd >= 0 && fd < room ? connections[fd] : NULL; }

// Beginning and end -----------------------------------------------------------------------------------------------------

// start(state: Int32Array): status; [whether an end follows what was received, bytes that are held] after each call
static napi_value start(napi_env env, napi_callback_info info) {
  napi_value values[1];
  size_t count = 1, length = 0;
  napi_typedarray_type type = napi_uint8_array;
  void *ints = NULL;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  napi_get_typedarray_info(env, values[0], &type, &length, &ints, NULL, NULL);
  if (type != napi_int32_array || length < STATE_INTS) return int_of(env, -EINVAL);
  if (tls_state != NULL) return int_of(env, -EALREADY);
  // Numbers and structures are those of this version.
  if (OpenSSL_version_num() >> 28 != 3) return int_of(env, -ENOSYS);
  if (!begin_connections()) return int_of(env, -ENOMEM);
  napi_create_reference(env, values[0], 1, &state_ref);
  tls_state = ints;
  return int_of(env, 0);
}

static bool has_place(int fd) {
  if (fd < room) return true;
  const int wanted = 2 * fd + 64;
  struct connection **grown = realloc(connections, (size_t)wanted * sizeof *grown);
  if (grown == NULL) return false;
  memset(grown + room, 0, (size_t)(wanted - room) * sizeof *grown);
  connections = grown;
  room = wanted;
  return true;
}

// open(fd, context): status
static napi_value open_connection(napi_env env, napi_callback_info info) {
  napi_value values[2];
  size_t count = 2;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  const int fd = int_at(env, values[0]);
  SSL_CTX *context = context_of(env, values[1]);
  if (fd < 0 || context == NULL || connection_of(fd) != NULL) return int_of(env, -EINVAL);
  struct connection *connection = has_place(fd) ? new_connection(context) : NULL;
  if (connection == NULL) return int_of(env, -ENOMEM);
  connections[fd] = connection;
  return int_of(env, 0);
}

// forget(fd): frees all there is of it; the descriptor stays open
static napi_value forget(napi_env env, napi_callback_info info) {
  int fd[1];
  take_ints(env, info, 1, fd);
  struct connection *connection = connection_of(fd[0]);
  if (connection == NULL) return int_of(env, -EBADF);
  connections[fd[0]] = NULL;
  free_connection(connection);
  return int_of(env, 0);
}

// The arguments of a function that has a connection and a buffer. Returns NULL, and says in `status` why, where one is missing.
static struct connection *take_bytes(napi_env env, napi_callback_info info, void **bytes, size_t *length, int *status) {
  napi_value values[2];
  size_t count = 2;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  struct connection *connection = connection_of(int_at(env, values[0]));
  const bool is_buffer = napi_get_buffer_info(env, values[1], bytes, length) == napi_ok;
  *status = connection == NULL ? -EBADF : -EINVAL;
  return is_buffer ? connection : NULL;
}

// keep(fd, bytes: Buffer): status; they were read of the connection before, and are received next
static napi_value keep(napi_env env, napi_callback_info info) {
  void *bytes = NULL;
  size_t length = 0;
  int status = 0;
  struct connection *connection = take_bytes(env, info, &bytes, &length, &status);
  if (connection == NULL) return int_of(env, status);
  return int_of(env, keep_bytes(connection, bytes, length) ? 0 : -ENOMEM);
}

// staple(fd, response: Buffer): status; an OCSP response for clients that ask (RFC 6066, section 8)
static napi_value staple(napi_env env, napi_callback_info info) {
  void *bytes = NULL;
  size_t length = 0;
  int status = 0;
  struct connection *connection = take_bytes(env, info, &bytes, &length, &status);
  if (connection == NULL) return int_of(env, status);
  void *own = CRYPTO_memdup(bytes, length, __FILE__, __LINE__);
  if (own == NULL) return int_of(env, -ENOMEM);
  SSL_ctrl(connection->ssl, SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP, (long)length, own);
  return int_of(env, 0);
}

// Bytes -----------------------------------------------------------------------------------------------------------------

// receive(fd, buffer): how many bytes came, 0 at the end; -EINTR when the handshake is over, and there may be more
static napi_value receive(napi_env env, napi_callback_info info) {
  napi_value values[2];
  size_t count = 2, length = 0;
  void *bytes = NULL;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  const int fd = int_at(env, values[0]);
  struct connection *connection = connection_of(fd);
  if (connection == NULL) return int_of(env, -EBADF);
  if (napi_get_buffer_info(env, values[1], &bytes, &length) != napi_ok || length == 0 || length > INT32_MAX)
    return int_of(env, -EINVAL);
  return int_of(env, receive_bytes(connection, fd, bytes, length));
}

// sendBytes(fd, bytes: Uint8Array, start, end): how many of those from `start` to `end` were taken
static napi_value send_bytes(napi_env env, napi_callback_info info) {
  napi_value values[4];
  size_t count = 4, length = 0;
  void *bytes = NULL;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  const int fd = int_at(env, values[0]), start = int_at(env, values[2]), end = int_at(env, values[3]);
  struct connection *connection = connection_of(fd);
  if (connection == NULL) return int_of(env, -EBADF);
  if (napi_get_buffer_info(env, values[1], &bytes, &length) != napi_ok || start < 0 || end < start ||
      (size_t)end > length)
    return int_of(env, -EINVAL);
  return int_of(env, send_all(connection, fd, (unsigned char *)bytes + start, (size_t)(end - start)));
}

// sendText(fd, text): the same of a Latin-1 text of at most SEND_BYTES - 1 characters
static napi_value send_text(napi_env env, napi_callback_info info) {
  static char text[SEND_BYTES];
  napi_value values[2];
  size_t count = 2, length = 0;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  const int fd = int_at(env, values[0]);
  struct connection *connection = connection_of(fd);
  if (connection == NULL) return int_of(env, -EBADF);
  napi_get_value_string_latin1(env, values[1], text, sizeof text, &length);
  return int_of(env, send_all(connection, fd, (unsigned char *)text, length));
}

// shutdown(fd): status; close_notify (RFC 8446, section 6.1), and then the end of our side
static napi_value shut_down(napi_env env, napi_callback_info info) {
  int fd[1];
  take_ints(env, info, 1, fd);
  struct connection *connection = connection_of(fd[0]);
  if (connection == NULL) return int_of(env, -EBADF);
  return int_of(env, end_connection(connection, fd[0]));
}

// rest(): frees what the connections that were not used since the last time can do without
static napi_value rest(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
  free_idle_buffers();
  return NULL;
}

// What was agreed on ----------------------------------------------------------------------------------------------------

static napi_value text_of(napi_env env, const char *text, size_t length) {
  napi_value result;
  napi_create_string_latin1(env, text, length, &result);
  return result;
}

static struct connection *connection_at(napi_env env, napi_callback_info info) {
  int fd[1];
  take_ints(env, info, 1, fd);
  return connection_of(fd[0]);
}

// alpn(fd): the protocol, or ''
static napi_value alpn(napi_env env, napi_callback_info info) {
  const struct connection *connection = connection_at(env, info);
  const unsigned char *protocol = NULL;
  unsigned int length = 0;
  if (connection != NULL) SSL_get0_alpn_selected(connection->ssl, &protocol, &length);
  return text_of(env, length == 0 ? "" : (const char *)protocol, length);
}

// version(fd): as `TLSv1.3`
static napi_value version(napi_env env, napi_callback_info info) {
  const struct connection *connection = connection_at(env, info);
  return text_of(env, connection == NULL ? "" : SSL_get_version(connection->ssl), NAPI_AUTO_LENGTH);
}

// cipher(fd): as OpenSSL calls it
static napi_value cipher(napi_env env, napi_callback_info info) {
  const struct connection *connection = connection_at(env, info);
  const SSL_CIPHER *suite = connection == NULL ? NULL : SSL_get_current_cipher(connection->ssl);
  return text_of(env, suite == NULL ? "" : SSL_CIPHER_get_name(suite), NAPI_AUTO_LENGTH);
}

// resumed(fd): 1 or 0
static napi_value resumed(napi_env env, napi_callback_info info) {
  const struct connection *connection = connection_at(env, info);
  return int_of(env, connection != NULL && SSL_session_reused(connection->ssl) == 1);
}

// certificate(fd): the client's, in DER; undefined when it has shown none
static napi_value certificate(napi_env env, napi_callback_info info) {
  const struct connection *connection = connection_at(env, info);
  X509 *shown = connection == NULL ? NULL : SSL_get0_peer_certificate(connection->ssl);
  const int length = shown == NULL ? 0 : i2d_X509(shown, NULL);
  napi_value result = NULL;
  void *bytes = NULL;
  if (length <= 0 || napi_create_buffer(env, (size_t)length, &bytes, &result) != napi_ok) return NULL;
  unsigned char *to = bytes;
  i2d_X509(shown, &to);
  return result;
}

// verified(fd): 0, or what is wrong with that certificate: a number of X509_STORE_CTX_get_error(3)
static napi_value verified(napi_env env, napi_callback_info info) {
  const struct connection *connection = connection_at(env, info);
  return int_of(env, connection == NULL ? 0 : (int)SSL_get_verify_result(connection->ssl));
}

// failure(whole): the reason of the last EPROTO in OpenSSL's words; '' when it has none
static napi_value failure(napi_env env, napi_callback_info info) {
  int whole[1];
  char text[256] = "";
  take_ints(env, info, 1, whole);
  const char *reason = ERR_reason_error_string(tls_failure);
  if (whole[0] != 0 && tls_failure != 0) ERR_error_string_n(tls_failure, text, sizeof text);
  return text_of(env, whole[0] != 0 ? text : reason == NULL ? "" : reason, NAPI_AUTO_LENGTH);
}

NAPI_MODULE_INIT() {
  static const struct function functions[] = {
      {"start", start},
      {"createContext", create_context},
      {"setContext", set_context},
      {"createTicketKeys", create_ticket_keys},
      {"setTicketKeys", set_ticket_keys},
      {"open", open_connection},
      {"forget", forget},
      {"keep", keep},
      {"staple", staple},
      {"receive", receive},
      {"sendBytes", send_bytes},
      {"sendText", send_text},
      {"shutdown", shut_down},
      {"rest", rest},
      {"alpn", alpn},
      {"version", version},
      {"cipher", cipher},
      {"resumed", resumed},
      {"certificate", certificate},
      {"verified", verified},
      {"failure", failure},
  };
  return export_functions(env, exports, functions, sizeof functions / sizeof *functions);
}
