// What the connections of an identity share, as `tls-context.c` makes it and `tls.c` uses it.

#pragma once

#include "node-values.h"
#include "openssl.h"

// Null for anything else.
SSL_CTX *context_of(napi_env env, napi_value value);

// createContext(ticketKeys, minVersion, options, verify: bits of SSL_CTX_set_verify(3), sessionSeconds): context
napi_value create_context(napi_env env, napi_callback_info info);

// setContext(context, setting, text): '' or what is wrong with it
napi_value set_context(napi_env env, napi_callback_info info);

// createTicketKeys(): keys of session tickets, of which there are none yet; never freed
napi_value create_ticket_keys(napi_env env, napi_callback_info info);

// setTicketKeys(ticketKeys, keys: Buffer): the one that encrypts first; 16 bytes each of name, HMAC key and AES key
napi_value set_ticket_keys(napi_env env, napi_callback_info info);
