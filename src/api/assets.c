/* The files of web/ inside the binary: nothing to install, nothing to find at run time.
 *
 * .incbin is the assembler's own way to do it and needs no generator; API_WEB_DIR comes from
 * CMakeLists.txt, which also makes this file depend on them. */
#include "api/api_internal.h"

#include "base/assert.h"

#define EMBED(name, file)                                                                          \
    __asm__(".section .rodata\n"                                                                   \
            ".balign 16\n" #name "_begin:\n"                                                       \
            ".incbin \"" API_WEB_DIR "/" file "\"\n" #name "_end:\n"                               \
            ".byte 0\n"                                                                            \
            ".previous\n");                                                                        \
    extern const unsigned char name##_begin[], name##_end[];

EMBED(api_asset_index, "index.html")
EMBED(api_asset_script, "app.js")
EMBED(api_asset_style, "style.css")
EMBED(api_asset_icon, "icon.svg")

#define ASSET(out, path_, type_, name)                                                             \
    (*(out) = (struct api_asset){path_, type_, name##_begin, (size_t)(name##_end - name##_begin)})

void api_asset_get(struct api_asset *out, int index) {
    ASSERT(index >= 0 && index < API_ASSET_COUNT);
    switch (index) {
    case 0:
        ASSET(out, "/", "text/html; charset=utf-8", api_asset_index);
        break;
    case 1:
        ASSET(out, "/app.js", "text/javascript; charset=utf-8", api_asset_script);
        break;
    case 2:
        ASSET(out, "/style.css", "text/css; charset=utf-8", api_asset_style);
        break;
    case 3:
        ASSET(out, "/icon.svg", "image/svg+xml", api_asset_icon);
        break;
    }
}
