/* embed.h: files of the repository that are built into the programs (schema/embed.list names them). */
#ifndef TRIB_EMBED_H
#define TRIB_EMBED_H

#include "core/base/span.h"

/* The bytes of an embedded file by its path in the repository ("schema/hub/0001_hub.sql"); followed by a NUL that is not
 * counted. {NULL, 0} when there is none. */
struct trib_span trib_embed(const char *path);

#endif
