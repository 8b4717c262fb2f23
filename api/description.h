/*
 * description - openapi.yaml as it was when this binary was built.
 *
 * Its source is made by api/description.py at build time.
 */
#ifndef KIST_API_DESCRIPTION_H
#define KIST_API_DESCRIPTION_H

#include "base/bytes.h"

struct view description_text(void);

#endif
