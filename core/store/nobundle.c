/* libgit2 must not read the system's certificates.
 *
 * Debian builds it with mbedTLS, and its start parses /etc/ssl/certs/ca-certificates.crt: 140 certificates, 5 ms of every process, for a transport that we never
 * use (agent/link.c and hub/ speak TLS through OpenSSL, to the city's own root alone). A program's own symbols go before its libraries': what is defined here is
 * what libgit2 calls. It finds no certificate then, and would trust nobody. With a libgit2 that was built on another TLS library these are two functions that
 * nobody calls. */
#include "core/store/repo_impl.h"

#define MBEDTLS_ERR_X509_FILE_IO_ERROR (-0x2900)

/* As in mbedtls/x509_crt.h, which is not needed to build. */
int mbedtls_x509_crt_parse_file(void *chain, const char *path);
int mbedtls_x509_crt_parse_path(void *chain, const char *path);

int mbedtls_x509_crt_parse_file(void *chain, const char *path)
{
	(void)chain; (void)path;
	return MBEDTLS_ERR_X509_FILE_IO_ERROR;
}

int mbedtls_x509_crt_parse_path(void *chain, const char *path)
{
	(void)chain; (void)path;
	return MBEDTLS_ERR_X509_FILE_IO_ERROR;
}

void trib_no_bundle(void) {} /* a call of it makes the linker take this file out of the archive */
