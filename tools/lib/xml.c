// SPDX-License-Identifier: GPL-2.0
/* libxml2 as the files about libvirt's XML use it. */
#include <string.h>

#include "xml.h"

#define XML_BYTES_MAX	(16 << 20)

static void nothing(void *context, const char *format, ...)
{
	(void)context;
	(void)format;
}

/** xml_parse() - no entities, no network, no words on stderr; blanks are dropped */
xmlDoc *xml_parse(const char *xml)
{
	size_t length = strlen(xml);

	xmlSetGenericErrorFunc(NULL, nothing);
	if (length > XML_BYTES_MAX)
		return NULL;
	return xmlReadMemory(xml, (int)length, NULL, NULL,
			     XML_PARSE_NONET | XML_PARSE_NOBLANKS |
			     XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
}

/** xml_is_element() - has @node that name, in that namespace (NULL: in none)? */
bool xml_is_element(const xmlNode *node, const char *name, const char *namespace)
{
	if (node->type != XML_ELEMENT_NODE || xmlStrcmp(node->name, BAD_CAST name))
		return false;
	if (!namespace)
		return !node->ns;
	return node->ns && !xmlStrcmp(node->ns->href, BAD_CAST namespace);
}

/** xml_child() - the first such element in @parent; NULL if there is none, or no @parent */
xmlNode *xml_child(xmlNode *parent, const char *name, const char *namespace)
{
	xmlNode *node;

	for (node = parent ? parent->children : NULL; node; node = node->next)
		if (xml_is_element(node, name, namespace))
			return node;
	return NULL;
}

/** xml_domain_of() - the <domain> that @doc is of; NULL if it is none */
xmlNode *xml_domain_of(xmlDoc *doc)
{
	xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;

	return root && xml_is_element(root, "domain", NULL) ? root : NULL;
}
