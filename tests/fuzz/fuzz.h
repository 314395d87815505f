/* fuzz.h: the entry that libFuzzer and the replay driver call, and the check of a property. */
#ifndef TRIB_FUZZ_H
#define TRIB_FUZZ_H

#include "core/base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that does not hold is a crash, so that every driver sees it. */
#define MUST(cond)                                                                    \
	do {                                                                          \
		if (!(cond)) {                                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                      \
		}                                                                     \
	} while (0)

#endif
