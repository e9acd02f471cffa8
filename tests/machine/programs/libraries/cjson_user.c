/* cJSON: reading, printing, numbers of all sizes, patches, errors. */
#include "library.h"
#include "cJSON.h"

static const char *const documents[] = {
    "{\"name\": \"Jack (\\\"Bee\\\") Nimble\", \"format\": {\"type\": \"rect\", \"width\": 1920, \"interlace\": false}}",
    "[1.5, -2e10, 1e308, 5e-324, 0.1, 123456789012345678, -0, 3.141592653589793]",
    "[\"\\u00e9\\ud83d\\ude00\", null, true, [[[[{}]]]]]",
    "{\"unterminated\": [1, 2",
    "[1e400, 0x10]",
};

static cJSON *grow(int depth)
{
    if (depth == 0)
        return next() & 1 ? cJSON_CreateNumber((int)next() / 1024.0 / (depth + 3)) : cJSON_CreateString("a\tb");
    cJSON *made = next() & 1 ? cJSON_CreateObject() : cJSON_CreateArray();
    for (unsigned i = 0, n = next() % 4 + 1; i < n; i++) {
        char name[12];
        snprintf(name, sizeof name, "m%u", next() % 1000);
        if (cJSON_IsObject(made))
            cJSON_AddItemToObject(made, name, grow(depth - 1));
        else
            cJSON_AddItemToArray(made, grow(depth - 1));
    }
    return made;
}

int main(void)
{
    for (unsigned i = 0; i < sizeof documents / sizeof *documents; i++) {
        cJSON *json = cJSON_Parse(documents[i]);
        char *printed = json ? cJSON_Print(json) : 0;
        printf("%s\n", printed ? printed : "no JSON");
        if (!json)
            printf("at %d\n", (int)(cJSON_GetErrorPtr() - documents[i]));
        free(printed);
        cJSON_Delete(json);
    }
    for (int i = 0; i < 12; i++) {
        cJSON *json = grow(5);
        char *printed = cJSON_PrintUnformatted(json);
        cJSON *again = cJSON_Parse(printed);
        if (!cJSON_Compare(json, again, 1))
            printf("not the same\n");
        digest("document", printed, strlen(printed));
        free(printed);
        cJSON_Delete(json), cJSON_Delete(again);
    }
    return 0;
}
