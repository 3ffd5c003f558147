// What `tls.c` and `tls-context.c` take of OpenSSL 3, which Node exports to addons; no package on npm has its headers. Functions as
// its manual pages have them, in their order there; numbers as in its public headers, where they stand for macros.

#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct bio_st BIO;
typedef struct bio_method_st BIO_METHOD;
typedef struct evp_cipher_st EVP_CIPHER;
typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_mac_ctx_st EVP_MAC_CTX;
typedef struct evp_pkey_st EVP_PKEY;
typedef struct ssl_cipher_st SSL_CIPHER;
typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_method_st SSL_METHOD;
typedef struct ssl_st SSL;
typedef struct X509_crl_st X509_CRL;
typedef struct x509_st X509;
typedef struct x509_store_ctx_st X509_STORE_CTX;
typedef struct x509_store_st X509_STORE;
typedef struct {
  const char *key;
  unsigned int data_type;
  void *data;
  size_t data_size;
  size_t return_size;
} OSSL_PARAM;

// OpenSSL_version_num(3), ERR_get_error(3), ERR_GET_LIB(3), OPENSSL_malloc(3)
enum { ERR_LIB_PEM = 9, PEM_R_NO_START_LINE = 108 };
extern unsigned long OpenSSL_version_num(void);
extern void ERR_clear_error(void);
extern unsigned long ERR_peek_error(void);
extern unsigned long ERR_peek_last_error(void);
extern const char *ERR_reason_error_string(unsigned long error);
extern void ERR_error_string_n(unsigned long error, char *text, size_t length);
extern void *CRYPTO_memdup(const void *memory, size_t length, const char *file, int line);
extern void OPENSSL_cleanse(void *memory, size_t length);

// BIO_new(3), BIO_meth_new(3), BIO_s_mem(3)
enum { BIO_TYPE_SOURCE_SINK = 0x0400, BIO_CTRL_FLUSH = 11, BIO_FLAGS_READ = 1, BIO_FLAGS_SHOULD_RETRY = 8 };
extern BIO *BIO_new(const BIO_METHOD *method);
extern BIO *BIO_new_mem_buf(const void *bytes, int length);
extern int BIO_free(BIO *bio);
extern int BIO_get_new_index(void);
extern BIO_METHOD *BIO_meth_new(int type, const char *name);
extern int BIO_meth_set_read(BIO_METHOD *method, int (*read)(BIO *, char *, int));
extern int BIO_meth_set_write(BIO_METHOD *method, int (*write)(BIO *, const char *, int));
extern int BIO_meth_set_ctrl(BIO_METHOD *method, long (*ctrl)(BIO *, int, long, void *));
extern void BIO_set_init(BIO *bio, int on);
extern void BIO_set_flags(BIO *bio, int flags);
extern void BIO_clear_flags(BIO *bio, int flags);

// PEM_read_bio_X509_AUX(3), X509_STORE_add_cert(3), d2i_X509(3)
enum { X509_V_FLAG_CRL_CHECK = 4, X509_V_FLAG_CRL_CHECK_ALL = 8 };
typedef int pem_password(char *text, int length, int writes, void *argument);
extern X509 *PEM_read_bio_X509_AUX(BIO *bio, X509 **out, pem_password *password, void *argument);
extern X509_CRL *PEM_read_bio_X509_CRL(BIO *bio, X509_CRL **out, pem_password *password, void *argument);
extern EVP_PKEY *PEM_read_bio_PrivateKey(BIO *bio, EVP_PKEY **out, pem_password *password, void *argument);
extern void EVP_PKEY_free(EVP_PKEY *key);
extern void X509_free(X509 *certificate);
extern void X509_CRL_free(X509_CRL *list);
extern int X509_STORE_add_cert(X509_STORE *store, X509 *certificate);
extern int X509_STORE_add_crl(X509_STORE *store, X509_CRL *list);
extern int X509_STORE_set_flags(X509_STORE *store, unsigned long flags);
extern int i2d_X509(const X509 *certificate, unsigned char **out);

// SSL_CTX_new(3) and the functions that set it up
enum {
  SSL_CTRL_MODE = 33,
  SSL_CTRL_SET_SESS_CACHE_MODE = 44,
  SSL_CTRL_CHAIN_CERT = 89,
  SSL_CTRL_SET_GROUPS_LIST = 92,
  SSL_CTRL_SET_SIGALGS_LIST = 98,
  SSL_CTRL_SET_MIN_PROTO_VERSION = 123,
  SSL_CTRL_SET_TLSEXT_SERVERNAME_CB = 53,
  SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB = 63,
  SSL_CTRL_GET_TLSEXT_STATUS_REQ_OCSP_RESP = 70,
  SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP = 71,
};
enum { SSL_MODE_NO_AUTO_CHAIN = 8 };
enum { SSL_SESS_CACHE_SERVER = 2, SSL_SESS_CACHE_NO_AUTO_CLEAR = 0x80, SSL_SESS_CACHE_NO_INTERNAL = 0x300 };
enum { SSL_VERIFY_PEER = 1, SSL_VERIFY_FAIL_IF_NO_PEER_CERT = 2 };
enum { SSL_TLSEXT_ERR_OK = 0, SSL_TLSEXT_ERR_ALERT_FATAL = 2, SSL_TLSEXT_ERR_NOACK = 3 };
enum { OPENSSL_NPN_NEGOTIATED = 1 };
extern const SSL_METHOD *TLS_server_method(void);
extern SSL_CTX *SSL_CTX_new(const SSL_METHOD *method);
extern void SSL_CTX_free(SSL_CTX *context);
extern long SSL_CTX_ctrl(SSL_CTX *context, int command, long number, void *argument);
extern long SSL_CTX_callback_ctrl(SSL_CTX *context, int command, void (*callback)(void));
extern int SSL_CTX_set_ex_data(SSL_CTX *context, int index, void *data);
extern void *SSL_CTX_get_ex_data(const SSL_CTX *context, int index);
extern SSL_CTX *SSL_get_SSL_CTX(const SSL *ssl);
extern uint64_t SSL_CTX_set_options(SSL_CTX *context, uint64_t options);
extern long SSL_CTX_set_timeout(SSL_CTX *context, long seconds);
extern int SSL_CTX_set_session_id_context(SSL_CTX *context, const unsigned char *bytes, unsigned int length);
extern int SSL_CTX_set_cipher_list(SSL_CTX *context, const char *names);
extern int SSL_CTX_set_ciphersuites(SSL_CTX *context, const char *names);
extern int SSL_CTX_use_certificate(SSL_CTX *context, X509 *certificate);
extern int SSL_CTX_use_PrivateKey(SSL_CTX *context, EVP_PKEY *key);
extern int SSL_CTX_add_client_CA(SSL_CTX *context, X509 *certificate);
extern X509_STORE *SSL_CTX_get_cert_store(const SSL_CTX *context);
extern void SSL_CTX_set_verify(SSL_CTX *context, int mode, int (*callback)(int, X509_STORE_CTX *));
typedef int alpn_select(SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *in,
                        unsigned int in_length, void *argument);
extern void SSL_CTX_set_alpn_select_cb(SSL_CTX *context, alpn_select *callback, void *argument);
extern int SSL_select_next_proto(unsigned char **out, unsigned char *out_length, const unsigned char *server,
                                 unsigned int server_length, const unsigned char *client, unsigned int client_length);
typedef int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                       int encrypts);
extern int SSL_CTX_set_tlsext_ticket_key_evp_cb(SSL_CTX *context, ticket_key *callback);

// EVP_EncryptInit(3), EVP_MAC(3), OSSL_PARAM_construct_utf8_string(3), RAND_bytes(3)
extern EVP_CIPHER *EVP_CIPHER_fetch(void *library, const char *name, const char *properties);
extern int EVP_EncryptInit_ex(EVP_CIPHER_CTX *cipher, const EVP_CIPHER *type, void *engine, const unsigned char *key,
                              const unsigned char *iv);
extern int EVP_DecryptInit_ex(EVP_CIPHER_CTX *cipher, const EVP_CIPHER *type, void *engine, const unsigned char *key,
                              const unsigned char *iv);
extern int EVP_MAC_CTX_set_params(EVP_MAC_CTX *mac, const OSSL_PARAM *parameters);
extern OSSL_PARAM OSSL_PARAM_construct_octet_string(const char *key, void *bytes, size_t length);
extern OSSL_PARAM OSSL_PARAM_construct_utf8_string(const char *key, char *text, size_t length);
extern OSSL_PARAM OSSL_PARAM_construct_end(void);
extern int RAND_bytes(unsigned char *out, int length);

// SSL_new(3) and what is done with a connection
enum { SSL_ERROR_WANT_READ = 2, SSL_ERROR_ZERO_RETURN = 6 };
extern SSL *SSL_new(SSL_CTX *context);
extern void SSL_free(SSL *ssl);
extern int SSL_free_buffers(SSL *ssl);
extern void SSL_set_bio(SSL *ssl, BIO *reads, BIO *writes);
extern void SSL_set_accept_state(SSL *ssl);
extern int SSL_do_handshake(SSL *ssl);
extern int SSL_read(SSL *ssl, void *out, int length);
extern int SSL_pending(const SSL *ssl);
extern int SSL_write(SSL *ssl, const void *bytes, int length);
extern int SSL_shutdown(SSL *ssl);
extern int SSL_get_error(const SSL *ssl, int result);
extern long SSL_ctrl(SSL *ssl, int command, long number, void *argument);
extern void SSL_get0_alpn_selected(const SSL *ssl, const unsigned char **out, unsigned int *length);
extern const char *SSL_get_version(const SSL *ssl);
extern const SSL_CIPHER *SSL_get_current_cipher(const SSL *ssl);
extern const char *SSL_CIPHER_get_name(const SSL_CIPHER *cipher);
extern int SSL_session_reused(const SSL *ssl);
extern X509 *SSL_get0_peer_certificate(const SSL *ssl);
extern long SSL_get_verify_result(const SSL *ssl);
