/*
 * settings_page - what kistd prints about its settings instead of starting.
 */
#ifndef KIST_SERVICE_SETTINGS_PAGE_H
#define KIST_SERVICE_SETTINGS_PAGE_H

#include "service/settings.h"

/*
 * Append the page that settings->action asks for: help, version, the checked
 * settings, the reference (Markdown) or the example file. Nothing for
 * SETTINGS_SERVE and SETTINGS_HEALTHCHECK. The caller looks at
 * out_page->failed.
 */
void settings_page_print(const struct settings *settings,
                         struct blob *out_page);

#endif
