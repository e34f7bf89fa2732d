/* SPDX-License-Identifier: GPL-2.0 */
/* Text that others have written. */
#ifndef BALLAST_TOOLS_TEXT_H
#define BALLAST_TOOLS_TEXT_H

void ballast_text_clean(char *text);

#endif /* BALLAST_TOOLS_TEXT_H */
