/* version - the release this binary was built from, as in meson.build. */
#ifndef KIST_SERVICE_VERSION_H
#define KIST_SERVICE_VERSION_H

/* "0.1.0": a literal. */
const char *version_text(void);

#endif
