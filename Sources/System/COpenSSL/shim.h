#pragma once
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>

// SSL_OP_* are computed by a macro with arguments, which Swift does not import.
static const uint64_t openssl_option_middlebox_compatibility = SSL_OP_ENABLE_MIDDLEBOX_COMPAT;
