// Contexts of TLS servers: certificates, keys, what is negotiated and what is asked of clients, and the keys of session tickets.

#include "tls-context.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void *external_of(napi_env env, napi_value value) {
  void *data = NULL;
  return napi_get_value_external(env, value, &data) == napi_ok ? data : NULL;
}

SSL_CTX *context_of(napi_env env, napi_value value) { return external_of(env, value); }

// Session tickets (RFC 5077, RFC 8446 section 4.6.1) ------------------------------------------------------------------

enum { KEY_PART = 16, KEY_BYTES = 3 * KEY_PART };
// The index that is there for whoever made the context (SSL_CTX_set_app_data(3)).
enum { APP_DATA = 0 };
enum { NO_TICKET = 0, GOOD = 1, RENEW = 2, FAILED = -1 };

struct ticket_keys {
  unsigned char *bytes;
  size_t length;
};

// Looked up by its name once.
static const EVP_CIPHER *aes_cbc(void) {
  static const EVP_CIPHER *fetched;
  if (fetched == NULL) fetched = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
  return fetched;
}

static int on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                         int encrypts) {
  const struct ticket_keys *keys = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), APP_DATA);
  size_t at = 0;
  while (!encrypts && at < keys->length && memcmp(keys->bytes + at, name, KEY_PART) != 0) at += KEY_BYTES;
  if (at >= keys->length) return NO_TICKET;
  const unsigned char *key = keys->bytes + at;
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string("key", (void *)(key + KEY_PART), KEY_PART),
      OSSL_PARAM_construct_utf8_string("digest", (char *)"SHA256", 0),
      OSSL_PARAM_construct_end(),
  };
  if (!EVP_MAC_CTX_set_params(mac, parameters)) return FAILED;
  const unsigned char *aes = key + 2 * KEY_PART;
  if (!encrypts) {
    if (!EVP_DecryptInit_ex(cipher, aes_cbc(), NULL, aes, iv)) return FAILED;
    // The client gets a new one where the key of its ticket goes out of use.
    return at == 0 ? GOOD : RENEW;
  }
  if (RAND_bytes(iv, KEY_PART) != 1) return FAILED;
  memcpy(name, key, KEY_PART);
  return EVP_EncryptInit_ex(cipher, aes_cbc(), NULL, aes, iv) ? GOOD : FAILED;
}

napi_value create_ticket_keys(napi_env env, napi_callback_info info) {
  (void)info;
  struct ticket_keys *keys = calloc(1, sizeof *keys);
  napi_value result = NULL;
  if (keys != NULL) napi_create_external(env, keys, NULL, NULL, &result);
  return result;
}

napi_value set_ticket_keys(napi_env env, napi_callback_info info) {
  napi_value values[2];
  size_t count = 2, length = 0;
  void *bytes = NULL;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  struct ticket_keys *keys = external_of(env, values[0]);
  if (keys == NULL || napi_get_buffer_info(env, values[1], &bytes, &length) != napi_ok || length % KEY_BYTES != 0)
    return int_of(env, -EINVAL);
  unsigned char *own = malloc(length + 1);
  if (own == NULL) return int_of(env, -ENOMEM);
  if (length > 0) memcpy(own, bytes, length);
  if (keys->bytes != NULL) OPENSSL_cleanse(keys->bytes, keys->length);
  free(keys->bytes);
  keys->bytes = own;
  keys->length = length;
  return int_of(env, 0);
}

// Callbacks of handshakes -----------------------------------------------------------------------------------------------

// As they stand in a ClientHello, most wanted first.
struct protocols {
  struct protocols *next;
  unsigned int length;
  unsigned char bytes[];
};

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *in,
                   unsigned int in_length, void *argument) {
  (void)ssl;
  const struct protocols *ours = argument;
  const int result =
      SSL_select_next_proto((unsigned char **)out, out_length, ours->bytes, ours->length, in, in_length);
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

// Who has chosen the context has looked at the name.
static int on_server_name(SSL *ssl, int *alert, void *argument) {
  (void)ssl, (void)alert, (void)argument;
  return SSL_TLSEXT_ERR_OK;
}

// The connection has been given a response, or has none.
static int on_status_request(SSL *ssl, void *argument) {
  (void)argument;
  unsigned char *response = NULL;
  const long length = SSL_ctrl(ssl, SSL_CTRL_GET_TLSEXT_STATUS_REQ_OCSP_RESP, 0, &response);
  return length > 0 && response != NULL ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

// What is wrong with a certificate is asked for when the handshake is over.
static int on_verified(int good, X509_STORE_CTX *store) {
  (void)good, (void)store;
  return 1;
}

// A context -------------------------------------------------------------------------------------------------------------

// What the garbage collector is told that a context takes, so that those of many reloads do not wait for it.
enum { CONTEXT_BYTES = 32 * 1024 };

// Each connection holds its context: this is the hold of JavaScript.
static void finalize(napi_env env, void *context, void *hint) {
  (void)hint;
  int64_t all = 0;
  SSL_CTX_free(context);
  napi_adjust_external_memory(env, -CONTEXT_BYTES, &all);
}

napi_value create_context(napi_env env, napi_callback_info info) {
  napi_value values[5];
  size_t count = 5;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  void *keys = external_of(env, values[0]);
  ERR_clear_error();
  SSL_CTX *context = keys == NULL ? NULL : SSL_CTX_new(TLS_server_method());
  if (context == NULL) return NULL;
  SSL_CTX_set_ex_data(context, APP_DATA, keys);
  SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, int_at(env, values[1]), NULL);
  SSL_CTX_set_options(context, (uint64_t)(uint32_t)int_at(env, values[2]));
  SSL_CTX_set_verify(context, int_at(env, values[3]), on_verified);
  SSL_CTX_set_timeout(context, int_at(env, values[4]));
  // A chain goes out as it was given: without that, each handshake without one would look for it.
  SSL_CTX_ctrl(context, SSL_CTRL_MODE, SSL_MODE_NO_AUTO_CHAIN, NULL);
  // Sessions are in their tickets alone.
  const long cache = SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL | SSL_SESS_CACHE_NO_AUTO_CLEAR;
  SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, cache, NULL);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket_key);
  SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB, (void (*)(void))on_server_name);
  SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB, (void (*)(void))on_status_request);
  napi_value result = NULL;
  int64_t all = 0;
  if (napi_create_external(env, context, finalize, NULL, &result) != napi_ok) SSL_CTX_free(context);
  else napi_adjust_external_memory(env, CONTEXT_BYTES, &all);
  return result;
}

// Nobody is asked for a password.
static int no_password(char *text, int length, int writes, void *argument) {
  (void)text, (void)length, (void)writes, (void)argument;
  return 0;
}

// Whether reading stopped for the reason that nothing more is there.
static bool is_at_end(void) {
  const unsigned long error = ERR_peek_last_error();
  return (error >> 23 & 0xff) == ERR_LIB_PEM && (error & 0x7fffff) == PEM_R_NO_START_LINE;
}

typedef bool take_certificate(SSL_CTX *context, X509 *certificate, bool is_first);

static bool each_certificate(SSL_CTX *context, BIO *pem, take_certificate *take) {
  bool is_good = true;
  int count = 0;
  for (X509 *one; is_good && (one = PEM_read_bio_X509_AUX(pem, NULL, no_password, NULL)) != NULL; count++) {
    is_good = take(context, one, count == 0);
    X509_free(one);
  }
  return is_good && count > 0 && is_at_end();
}

static bool take_chain(SSL_CTX *context, X509 *certificate, bool is_first) {
  if (is_first) return SSL_CTX_use_certificate(context, certificate) == 1;
  return SSL_CTX_ctrl(context, SSL_CTRL_CHAIN_CERT, 1, certificate) == 1;
}

static bool take_authority(SSL_CTX *context, X509 *certificate, bool is_first) {
  (void)is_first;
  return X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate) == 1 &&
         SSL_CTX_add_client_CA(context, certificate) == 1;
}

static bool take_revocations(SSL_CTX *context, BIO *pem) {
  X509_STORE *store = SSL_CTX_get_cert_store(context);
  bool is_good = true;
  int count = 0;
  for (X509_CRL *one; is_good && (one = PEM_read_bio_X509_CRL(pem, NULL, no_password, NULL)) != NULL; count++) {
    is_good = X509_STORE_add_crl(store, one) == 1;
    X509_CRL_free(one);
  }
  return is_good && count > 0 && is_at_end() &&
         X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) == 1;
}

static bool take_key(SSL_CTX *context, BIO *pem) {
  EVP_PKEY *key = PEM_read_bio_PrivateKey(pem, NULL, no_password, NULL);
  const bool is_good = key != NULL && SSL_CTX_use_PrivateKey(context, key) == 1;
  EVP_PKEY_free(key);
  return is_good;
}

// Each list once and for ever, since connections outlive contexts: there are as many as kinds of listeners.
static const struct protocols *protocols_of(const char *text, size_t length) {
  static struct protocols *lists;
  for (const struct protocols *one = lists; one != NULL; one = one->next)
    if (one->length == length && memcmp(one->bytes, text, length) == 0) return one;
  struct protocols *list = malloc(sizeof *list + length);
  if (list == NULL) return NULL;
  list->length = (unsigned int)length;
  memcpy(list->bytes, text, length);
  list->next = lists;
  lists = list;
  return list;
}

static bool take_alpn(SSL_CTX *context, const char *text, size_t length) {
  const struct protocols *list = protocols_of(text, length);
  if (list == NULL) return false;
  SSL_CTX_set_alpn_select_cb(context, on_alpn, (void *)list);
  return true;
}

// As in `tls.ts`.
enum { CIPHERS, SUITES, GROUPS, SIGNATURES, SESSION_CONTEXT, ALPN, CERTIFICATES, KEY, AUTHORITIES, REVOCATIONS };

static bool take_setting(SSL_CTX *context, int setting, char *text, size_t length) {
  switch (setting) {
  case CIPHERS: return SSL_CTX_set_cipher_list(context, text) == 1;
  case SUITES: return SSL_CTX_set_ciphersuites(context, text) == 1;
  case GROUPS: return SSL_CTX_ctrl(context, SSL_CTRL_SET_GROUPS_LIST, 0, text) == 1;
  case SIGNATURES: return SSL_CTX_ctrl(context, SSL_CTRL_SET_SIGALGS_LIST, 0, text) == 1;
  case SESSION_CONTEXT:
    return SSL_CTX_set_session_id_context(context, (const unsigned char *)text, (unsigned int)length) == 1;
  case ALPN: return take_alpn(context, text, length);
  }
  BIO *pem = BIO_new_mem_buf(text, (int)length);
  if (pem == NULL) return false;
  bool is_good = false;
  switch (setting) {
  case CERTIFICATES: is_good = each_certificate(context, pem, take_chain); break;
  case KEY: is_good = take_key(context, pem); break;
  case AUTHORITIES: is_good = each_certificate(context, pem, take_authority); break;
  case REVOCATIONS: is_good = take_revocations(context, pem); break;
  }
  BIO_free(pem);
  return is_good;
}

napi_value set_context(napi_env env, napi_callback_info info) {
  napi_value values[3];
  size_t count = 3, length = 0;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  SSL_CTX *context = context_of(env, values[0]);
  napi_get_value_string_latin1(env, values[2], NULL, 0, &length);
  char *text = context == NULL ? NULL : malloc(length + 1);
  const char *problem = "not a context, or no memory";
  if (text != NULL) {
    napi_get_value_string_latin1(env, values[2], text, length + 1, &length);
    ERR_clear_error();
    const bool is_good = take_setting(context, int_at(env, values[1]), text, length);
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    problem = is_good ? "" : reason == NULL ? "unusable" : reason;
    ERR_clear_error();
    // It may have been a key.
    OPENSSL_cleanse(text, length);
    free(text);
  }
  napi_value result;
  napi_create_string_latin1(env, problem, NAPI_AUTO_LENGTH, &result);
  return result;
}
