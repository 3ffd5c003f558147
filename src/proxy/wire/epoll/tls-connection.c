// Moves the bytes of TLS connections: OpenSSL reads and writes memory here, and the kernel is asked once for all of it.

#define _GNU_SOURCE
#include "tls-connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

// At most so much is read at once: as much as the largest buffer of the readers takes (read-memory.ts).
enum { READ_BYTES = 256 * 1024 };
// What `connection->end` is after an orderly end, until everything before it was told.
enum { ENDED = 1 };
// So many connections may keep their buffers, 34 KiB each, from one use to the next: taking and freeing them each time cost 3% of
// a small request.
enum { MOST_WITH_BUFFERS = 256 };

int32_t *tls_state;
unsigned long tls_failure;

static BIO_METHOD *method;

// What OpenSSL reads and writes during one call.
static struct {
  const unsigned char *at;
  size_t length;
} in;
static struct bytes out;

static bool append(struct bytes *to, const void *bytes, size_t length) {
  if (to->room - to->length < length) {
    unsigned char *grown = realloc(to->at, to->length + length);
    if (grown == NULL) return false;
    to->at = grown;
    to->room = to->length + length;
  }
  if (length > 0) memcpy(to->at + to->length, bytes, length);
  to->length += length;
  return true;
}

static void release(struct bytes *bytes) {
  free(bytes->at);
  *bytes = (struct bytes){0};
}

// What OpenSSL calls ----------------------------------------------------------------------------------------------------

static int bio_read(BIO *bio, char *to, int most) {
  BIO_clear_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
  if (in.length == 0) {
    BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
    return -1;
  }
  const size_t taken = in.length < (size_t)most ? in.length : (size_t)most;
  memcpy(to, in.at, taken);
  in.at += taken;
  in.length -= taken;
  return (int)taken;
}

static int bio_write(BIO *bio, const char *bytes, int length) {
  (void)bio;
  return append(&out, bytes, (size_t)length) ? length : -1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *argument) {
  (void)bio, (void)number, (void)argument;
  return command == BIO_CTRL_FLUSH;
}

// Sends what is held and then what OpenSSL has written, and holds what is left. Returns an error, or 0.
static int flush(struct connection *connection, int fd) {
  struct bytes *held = &connection->held;
  int error = 0;
  if (held->length > 0) {
    const ssize_t sent = send(fd, held->at, held->length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) error = -errno;
    if (sent > 0) {
      held->length -= (size_t)sent;
      memmove(held->at, held->at + sent, held->length);
    }
  }
  size_t sent = 0;
  if (error == 0 && held->length == 0) {
    release(held);
    if (out.length > 0) {
      const ssize_t result = send(fd, out.at, out.length, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (result < 0 && errno != EAGAIN) error = -errno;
      if (result > 0) sent = (size_t)result;
    }
  }
  if (error == 0 && sent < out.length && !append(held, out.at + sent, out.length - sent)) error = -ENOMEM;
  out.length = 0;
  if (error != 0) release(held);
  if (connection->ends && held->length == 0) shutdown(fd, SHUT_WR);
  tls_state[HELD] = (int32_t)held->length;
  return error;
}

// Buffers ---------------------------------------------------------------------------------------------------------------

static struct {
  struct connection *newest, *oldest;
  size_t count;
  uint32_t round;
} buffered;

static void leave_buffered(struct connection *connection) {
  if (!connection->has_buffers) return;
  if (connection->newer != NULL) connection->newer->older = connection->older;
  else buffered.newest = connection->older;
  if (connection->older != NULL) connection->older->newer = connection->newer;
  else buffered.oldest = connection->newer;
  connection->newer = connection->older = NULL;
  connection->has_buffers = false;
  buffered.count -= 1;
}

// OpenSSL keeps those in which something lies; the connection comes back with its next use.
static void free_buffers(struct connection *connection) {
  leave_buffered(connection);
  SSL_free_buffers(connection->ssl);
}

static void use_buffers(struct connection *connection) {
  connection->used_in_round = buffered.round;
  if (buffered.newest == connection) return;
  leave_buffered(connection);
  connection->older = buffered.newest;
  if (buffered.newest != NULL) buffered.newest->newer = connection;
  else buffered.oldest = connection;
  buffered.newest = connection;
  connection->has_buffers = true;
  buffered.count += 1;
  if (buffered.count > MOST_WITH_BUFFERS) free_buffers(buffered.oldest);
}

void free_idle_buffers(void) {
  while (buffered.oldest != NULL && buffered.oldest->used_in_round != buffered.round) free_buffers(buffered.oldest);
  buffered.round += 1;
}

// Beginning and end -----------------------------------------------------------------------------------------------------

bool begin_connections(void) {
  method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "portico");
  if (method == NULL) return false;
  BIO_meth_set_read(method, bio_read);
  BIO_meth_set_write(method, bio_write);
  BIO_meth_set_ctrl(method, bio_ctrl);
  return true;
}

struct connection *new_connection(SSL_CTX *context) {
  struct connection *connection = calloc(1, sizeof *connection);
  SSL *ssl = connection == NULL ? NULL : SSL_new(context);
  BIO *bio = ssl == NULL ? NULL : BIO_new(method);
  if (bio == NULL) {
    SSL_free(ssl);
    free(connection);
    return NULL;
  }
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  SSL_set_accept_state(ssl);
  connection->ssl = ssl;
  return connection;
}

void free_connection(struct connection *connection) {
  leave_buffered(connection);
  SSL_free(connection->ssl);
  release(&connection->kept);
  release(&connection->held);
  free(connection);
}

bool keep_bytes(struct connection *connection, const void *bytes, size_t length) {
  return append(&connection->kept, bytes, length);
}

int end_connection(struct connection *connection, int fd) {
  ERR_clear_error();
  if (connection->is_secure && connection->end != -EPROTO && SSL_shutdown(connection->ssl) < 0) ERR_clear_error();
  connection->ends = true;
  return flush(connection, fd);
}

// Bytes -----------------------------------------------------------------------------------------------------------------

static void fail(struct connection *connection) {
  tls_failure = ERR_peek_error();
  // Node looks at the same queue.
  ERR_clear_error();
  connection->end = -EPROTO;
}

// Decrypts what `in` has, as far as there is room. Returns how many bytes; -EINTR when the handshake is over with that.
static int decrypt(struct connection *connection, unsigned char *to, size_t most) {
  SSL *ssl = connection->ssl;
  ERR_clear_error();
  if (!connection->is_secure) {
    const int result = SSL_do_handshake(ssl);
    if (result == 1) connection->is_secure = true;
    else if (SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ) fail(connection);
    return result == 1 ? -EINTR : 0;
  }
  size_t count = 0;
  while (count < most && (in.length > 0 || SSL_pending(ssl) > 0)) {
    const int result = SSL_read(ssl, to + count, (int)(most - count));
    if (result > 0) {
      count += (size_t)result;
      continue;
    }
    const int error = SSL_get_error(ssl, result);
    if (error == SSL_ERROR_ZERO_RETURN) connection->end = ENDED;
    else if (error != SSL_ERROR_WANT_READ) fail(connection);
    break;
  }
  return (int)count;
}

// Fills `in` with what has come. Returns how many bytes those are, 0 at the end.
static ssize_t take_in(int fd, size_t most) {
  static unsigned char received[READ_BYTES];
  const ssize_t length = recv(fd, received, most, MSG_DONTWAIT);
  in.at = received;
  in.length = length > 0 ? (size_t)length : 0;
  return length < 0 ? -errno : length;
}

static bool keep_rest(struct connection *connection) {
  struct bytes *kept = &connection->kept, rest = {0};
  const bool is_kept = append(&rest, in.at, in.length);
  release(kept);
  *kept = rest;
  return is_kept;
}

// Until there is no room, or nothing more: the kernel tells of what comes once.
int receive_bytes(struct connection *connection, int fd, unsigned char *bytes, size_t length) {
  size_t count = 0;
  use_buffers(connection);
  tls_state[BEHIND] = 0;
  tls_state[HELD] = (int32_t)connection->held.length;
  while (connection->end == 0 && count < length) {
    const size_t left = length - count, most = left < READ_BYTES ? left : READ_BYTES;
    // What did not fit last time comes first.
    const bool is_new = connection->kept.length == 0 && SSL_pending(connection->ssl) == 0;
    const ssize_t came = is_new ? take_in(fd, most) : 0;
    if (came == -EAGAIN) break;
    if (is_new && came <= 0) {
      connection->end = came == 0 ? ENDED : (int)came;
      break;
    }
    if (!is_new) {
      in.at = connection->kept.at;
      in.length = connection->kept.length;
    }
    const int result = decrypt(connection, bytes + count, left);
    if (in.length > 0 || connection->kept.at != NULL) {
      if (!keep_rest(connection)) connection->end = -ENOMEM;
    }
    // An alert, tickets, or our part of the handshake. That it cannot leave shows where something is read or written.
    if (out.length > 0) flush(connection, fd);
    if (result < 0) return result;
    count += (size_t)result;
    // Less than was asked for is all there is; where nothing came of it, an end may lie behind.
    if (is_new && result > 0 && (size_t)came < most) break;
  }
  tls_state[BEHIND] = connection->end != 0;
  if (count > 0) return (int)count;
  if (connection->end == ENDED) return 0;
  return connection->end == 0 ? -EAGAIN : connection->end;
}

int send_all(struct connection *connection, int fd, const unsigned char *bytes, size_t length) {
  if (connection->end == -EPROTO) return -EPROTO;
  int error = connection->held.length > 0 ? flush(connection, fd) : 0;
  if (error != 0) return error;
  tls_state[HELD] = (int32_t)connection->held.length;
  if (connection->held.length > 0) return -EAGAIN;
  use_buffers(connection);
  size_t sent = connection->owed < length ? connection->owed : length;
  connection->owed -= sent;
  while (sent < length) {
    const size_t part = length - sent < SEND_BYTES ? length - sent : SEND_BYTES;
    const bool is_written = SSL_write(connection->ssl, bytes + sent, (int)part) == (int)part;
    if (!is_written) fail(connection);
    error = flush(connection, fd);
    if (!is_written || error != 0) return is_written ? error : -EPROTO;
    if (connection->held.length > 0) {
      connection->owed = part;
      return sent == 0 ? -EAGAIN : (int)sent;
    }
    sent += part;
  }
  return (int)sent;
}
