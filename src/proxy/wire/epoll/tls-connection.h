// One TLS connection over a descriptor: `tls-connection.c` moves its bytes, `tls.c` shows it to JavaScript.

#pragma once

#include "openssl.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// At most so much is encrypted before the kernel is asked whether it takes it: four records.
enum { SEND_BYTES = 64 * 1024 };
// Places of the state that `tls_state` has after each call: whether an end lies behind what was received, how much is held.
enum { BEHIND, HELD, STATE_INTS };

struct bytes {
  unsigned char *at;
  size_t length, room;
};

struct connection {
  SSL *ssl;
  // What was read and is not decrypted: what came with the end of the handshake, or did not fit into a buffer.
  struct bytes kept;
  // What was encrypted and the kernel did not take.
  struct bytes held;
  // So many bytes of a send lie in `held` while its caller was told that they were not taken: it counts what waits.
  size_t owed;
  // ENDED or an error, which all that is received from now on says; 0 before.
  int end;
  bool is_secure;
  // Our side ends when nothing is held any more.
  bool ends;
  // Those whose buffers OpenSSL keeps, the last that was used first.
  struct connection *newer, *older;
  bool has_buffers;
  uint32_t used_in_round;
};

// Where the state of the last call is left.
extern int32_t *tls_state;
// OpenSSL's first error of the last connection that failed.
extern unsigned long tls_failure;

// Once in a process. Returns false where there is no memory.
bool begin_connections(void);

// Null where there is no memory.
struct connection *new_connection(SSL_CTX *context);

void free_connection(struct connection *connection);

// Bytes that were read of it before: what is received next. Returns false where there is no memory.
bool keep_bytes(struct connection *connection, const void *bytes, size_t length);

// Returns how many bytes came, 0 at the end, -EINTR when the handshake is over and there may be more, or an error.
int receive_bytes(struct connection *connection, int fd, unsigned char *bytes, size_t length);

// Returns how many bytes were taken, or an error; the caller comes again with all others.
int send_all(struct connection *connection, int fd, const unsigned char *bytes, size_t length);

// Says close_notify (RFC 8446, section 6.1) and ends our side. Returns an error, or 0.
int end_connection(struct connection *connection, int fd);

// Frees the buffers of all connections that were not used since the last time.
void free_idle_buffers(void);
