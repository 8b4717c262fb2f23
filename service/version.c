#include "service/version.h"

const char *version_text(void)
{
    return KIST_VERSION;
}
