"""What text looks like that wants to give an agent orders: rules with names and weights, over plain lower-case text.

Rules whose weights add up to 1 within one passage make it suspicious, so that one of weight 1 needs no other. What
stands in quotation marks and is spoken about, as in a record on this very subject, weighs less. A rule that is common
in runbooks and decisions weighs little: it counts where the text also speaks to an agent.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern, how much it weighs, and words of which one must be in the text for the pattern to be tried."""

    name: str
    weight: float
    hints: tuple[str, ...]
    pattern: re.Pattern[str]


def _rule(name: str, weight: float, hints: str, pattern: str) -> Rule:
    return Rule(name, weight, tuple(hints.split()), re.compile(pattern, re.VERBOSE | re.MULTILINE))


DROP = r"""\b(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|overrid(?:e|ing)|bypass(?:ing)?|neglect|discard
    |abandon|unlearn
    |pay\ no\ (?:attention|heed)\ to|(?:do\ not|don't|stop|no\ longer|never)\ (?:follow(?:ing)?|obey(?:ing)?
    |heed(?:ing)?|listen(?:ing)?\ to))"""
EARLIER = r"""(?:previous|prior|above|earlier|preceding|foregoing|existing|original|initial|system|all|your|any|safety
    |these|those|other|past|former|every|developer(?:'s)?|built-in|everything)"""
ORDERS = r"""(?:instructions?|(?:system\ )?prompts?|system\ messages?|directi(?:ve|on)s?|guardrails?|training
    |programming|safeguards?)"""
AI = r"""(?:a\.?i\.?s?|llms?|(?:large\ )?language\ models?|(?:ai|coding|code|autonomous|automated|virtual|helpful
    |machine)
    \ (?:assistants?|agents?|models?|systems?|tools?|bots?|readers?)|ai-agents?|claude|chatgpt|gpt(?:-?\d\w*+)?
    |copilot|gemini)"""
MACHINE = rf"(?:{AI}|assistants?|agents?|cursor|codex|chatbots?|bots?|model)"
PEOPLE = r"""(?:users?|humans?|developers?|operators?|anyone|anybody|admins?|administrators?|reviewers?|owners?
    |team|people|customers?)"""
TREASURE = r"""(?:env(?:ironment)?\ (?:variables?|vars?)|\.env\b|(?:api[\ _-]?)?keys?|secrets?|credentials?|tokens?
    |passwords?
    |\.ssh|id_rsa|/etc/(?:passwd|shadow)|\.aws|system\ prompt|source\ code|conversations?|(?:chat|message)\ history
    |chat\ logs?
    |your\ (?:memory|context|instructions)|customer\ (?:data|records)|database\ dump|private\ (?:data|files
    |repos?\w*+))"""

RULES: tuple[Rule, ...] = (
    _rule(
        "override",
        1.0,
        "instruction prompt directive direction guardrail training programming safeguard system your",
        rf"""{DROP}\s(?:[\w'-]++\s){{0,3}}?{EARLIER}\s(?:[\w',-]++\s){{0,4}}?{ORDERS}\b
        |{DROP}\s(?:the\s|these\s|those\s|any\s)?{ORDERS}\s(?:above|before|given|you\ (?:were|have|got)|so\ far
        |from\ the)
        |{DROP}\s(?:the\s|any\s)?system\s(?:message|prompt)s?\b|{DROP}\s(?:any\s
        |all\s)?(?:of\s)?your\s(?:\w++\s)?(?:rules|guidelines|policies|restrictions|safety)\b
        |\b{ORDERS}\s(?:that\s)?you\s(?:have\s)?(?:received|got|were\ given|read)\b[^.\n]{{0,60}}(?:cancel|void
        |wrong|outdated|ignore|no\ longer)
        |{DROP}\s(?:[\w']++\s){{0,4}}?your\s(?:rules|guidelines|restrictions)\b|\b(?:your
        |the\ system)\s(?:\w++\s){{0,2}}?(?:{ORDERS}|rules|guidelines)\s(?:(?:have|has|are|is|were|was|do|does
        |no)\s(?:\w++\s){{0,3}}?)(?:changed|void|null|revoked|cancel\w*+|replaced|overrid\w*+
         |obsolete|updated|longer\ appl\w*+|not\ apply)""",
    ),
    _rule(
        "override_told",
        1.0,
        "told said given learned before user asks asked",
        rf"""{DROP}\s(?:all\s|anything\s|everything\s|whatever\s|what\s){{1,2}}(?:that\s)?(?:you|they|was|were|has
            |have)\s
        (?:\w++\s){{0,3}}?(?:told|said|given|instructed|taught|learned|asked|written\ above)
        |{DROP}\s(?:(?:what(?:ever)?|everything|anything)\s)?the\s(?:user|developer|operator
        |human)(?:'s\s\w++)?\s?(?:said|says|asks?|asked|wants|requests?|questions?|instructions?|and\b|[.,;!]|$)
        |\bset\ aside\s(?:what(?:ever)?|everything|all)\syou\b""",
    ),
    _rule(
        "override_rules",
        0.6,
        "rule guideline constraint polic restriction context message text above",
        rf"{DROP}\s(?:[\w'-]++\s){{0,3}}?{EARLIER}\s(?:[\w',-]++\s){{0,3}}?"
        r"(?:rules|guidelines|constraints|policies|restrictions|context|messages?|text)\b",
    ),
    _rule(
        "voided",
        0.7,
        "instruction rules guidance guideline prompt directive above",
        rf"""\b(?:previous|prior|earlier|above|preceding|old|original|the|all)\s(?:\w++\s){{0,3}}?(?:{ORDERS}|rules
            |guidelines|guidance)\s(?:[\w']++\s){{0,8}}?
        (?:no\ longer\ appl\w*+|(?:are|is)\ (?:now\ )?(?:void|cancel\w*+|revoked|null)|(?:do|does)\ not\ (?:apply
        |count)\b|ignore\ (?:them|it)\b)
        |\beverything\ above\b[^.\n]{{0,40}}\b(?:was|is)\ (?:a\ test|fake|untrusted|wrong|void|only)|\b(?:cancel
        |abort|abandon|stop)\s(?:your\s(?:current|original|previous)\s\w++|what\ you\ are\ doing)
        |\b(?:reset|clear|wipe|erase)\syour\s(?:context|memory|instructions|state|mind)""",
    ),
    _rule(
        "override_abroad",
        1.0,
        "ignor negeer vergiss missacht oublie tiens abstraction olvida omiso esque desconsid dimentica lekcewa pomi"
        " игнорир забудь обращай talimat"
        " 忘れ 忽略 无视 無視 忘记 忽視 理会 不用管 遵 從 従わ 무시 따르지 تجاهل निर्देश",
        r"""ignorier(?:e|en\ sie)?\s(?:\w++\s){0,3}?(?:vorherigen?|bisherigen?|obigen?|früheren?
            |vorangegangenen?)\s(?:\w++\s)?
        (?:anweisung|befehl|instruktion|regel|vorgabe)
        |(?:anweisungen|befehle|instruktionen)\s(?:\w++\s){0,2}?ignorieren\b
        |(?:vergiss|missachten?)\s(?:\w++\s){0,3}?(?:anweisungen|befehle|instruktionen|(?:bisherigen|vorherigen
        |alten)\sregeln)
        |\b(?:ne\s(?:tiens|tenez)\spas\scompte|fai(?:s|tes)\sabstraction)\sdes\s(?:\w++\s)?(?:instructions|consignes
        |directives)
        |\bhaz\scaso\somiso\s(?:\w++\s){1,3}?(?:instrucciones|indicaciones|reglas)
        |\bdesconsidere\s(?:\w++\s){0,2}?instruções|\b(?:lekceważ|zignoruj|ignoruj
        |pomiń)\s(?:\w++\s){0,3}?(?:instrukcje|polecenia)
        |не\sобращай(?:те)?\sвнимания\s(?:\w++\s){0,3}?(?:инструкц|указан|команд)
        |(?:不要|别|勿|不用|无需)(?:理会|管|遵守|遵循|听从)[^。\n]{0,10}(?:指令|指示|提示|说明|规则|命令)
        |(?:指示|命令|プロンプト|ルール)に[^。\n]{0,4}従わな|(?:지시|명령|지침|프롬프트)[^.\n]{0,4}따르지
        |(?:ignore[zr]?|oublie[zr]?)\s(?:\w++\s){0,3}?(?:instructions|consignes|directives|ordres)\s(?:\w++\s)?
        (?:précédent|ci-dessus|antérieur|antérior)
        |(?:ignorar?|ignore|olvida|olvide)\s(?:\w++\s){0,3}?(?:instrucciones|indicaciones|órdenes
        |reglas)\s(?:\w++\s)?(?:anterior|previa)
        |(?:ignore|esqueça|desconsidere)\s(?:\w++\s){0,3}?(?:instruções|ordens|regras)\s(?:\w++\s)?(?:anterior|acima
        |prévia)
        |(?:ignora(?:re)?|dimentica(?:re)?)\s(?:\w++\s){0,3}?(?:istruzioni|indicazioni
        |ordini)\s(?:\w++\s)?(?:precedent|sopra)
        |negeer\s(?:\w++\s){0,3}?(?:instructies|opdrachten|aanwijzingen|(?:vorige|eerdere|bovenstaande)\sregels)
        |ignorera\s(?:\w++\s){0,3}?(?:instruktioner|anvisningar)
        |(?:про)?игнорир(?:уй(?:те)?|овать)\s(?:\w++\s){0,4}?(?:инструкц|указан|команд|правил)
        |забудь(?:те)?\s(?:\w++\s){0,4}?(?:инструкц|указан|команд|правил)
        |\btalimat\w*+\s(?:\w++\s){0,3}?(?:yok\s?say|unut|görmezden)
        |(?:忽略|无视|無視|忘记|忽視)[^。\n]{0,12}(?:指令|指示|提示|说明|規則|规则|命令)
        |(?:指示|命令|プロンプト|ルール)[^。\n]{0,8}(?:無視|忘れ)
        |(?:지시|명령|지침|프롬프트)[^.\n]{0,8}(?:무시|잊)
        |تجاهل\s(?:\w++\s){0,2}?(?:التعليمات|الأوامر|الإرشادات)
        |निर्देश[^।\n]{0,16}(?:अनदेखा|अनदेखी|नज़रअंदाज़|भूल)""",
    ),
    _rule(
        "role_token",
        1.0,
        "<| inst] <<sys im_start",
        r"""<\|\s?(?:im_start|im_end|im_sep|system|user|assistant|endoftext|eot_id|begin_of_text|start_header_id
            |end_header_id|endofprompt)"""
        r"\s?\|>|\[/?inst\]|<</?sys>>",
    ),
    _rule(
        "role_line",
        1.0,
        "system assistant developer",
        r"""(?:^|[>\]).!?\"]\s?)[\s>*\#\[<_-]{0,12}(?:system|assistant|developer)(?:\s(?:message|prompt|instructions?
            |notice|override|update|alert))?[\]>*_]{0,4}\s?:[*_\s]{0,6}
        (?:you\b|ignore|from\ now|always|never|do\ not|don't|please|the\ user|respond|disregard|forget|new\s
        |as\ an?\ |i\ (?:will|have|am)|sure|ok)""",
    ),
    _rule(
        "role_tag",
        0.6,
        "system> assistant> instructions> prompt> human> <system",
        r"""</?(?:system|assistant|human|developer)(?:[-_\s]?(?:prompt|message|instructions?|reminder))?>
            |</?instructions>""",
    ),
    _rule(
        "role_heading",
        0.7,
        "instruction system human: assistant: prompt",
        r"""^\#{2,6}\s?(?:instructions?|system(?:\ prompt)?|response|human|assistant)\s?:
        |\n[ \n]{0,4}(?:human|assistant)\s?:[^\n]{0,400}\n[ \n]{0,4}(?:human|assistant)\s?:
        |["']role["']\s?:\s?["'](?:system|developer)["']""",
    ),
    _rule(
        "boundary",
        0.7,
        "end begin start </",
        r"""</?/?\s?(?:untrusted|retrieved|context|bundle|memory|user[_\s]input)[\w\s-]{0,30}>|(?:[-=\#*\[<(~]{2,40}
            |\[|<)\s?/?(?:end|begin|start)(?:\s(?:of|the)){0,4}\s(?:user\s|system\s|untrusted\s|retrieved\s|new\s
            |real\s|trusted\s){0,4}
        (?:prompt|context|input|document|data|content|instructions?|message|conversation|rules)\b""",
    ),
    _rule(
        "new_orders",
        0.7,
        "instruction task objective goal directive mission orders priority purpose prompt",
        rf"""\b(?:(?:here\ are|these\ are|follow(?:ing)?)\s(?:\w++\s){{0,3}}?(?:new|updated|revised|real|actual
            |true)\s(?:\w++\s)?{ORDERS}
        |(?:new|updated|revised|real|actual)\s(?:system\s)?(?:{ORDERS}|task|objective)\s?(?::|are\b|follow|from\b)
        |your\s(?:\w++\s)?(?:new|real|true|actual|only|primary|first|sole|next|updated)\s(?:\w++\s)?
         (?:task|goal|objective|mission|instructions?|purpose|directive|priority|job)\s(?:is|are|will))""",
    ),
    _rule(
        "new_orders_given",
        1.0,
        "instruction directive orders prompt",
        rf"""\b(?:new|updated|revised|real|actual)\s(?:system\s)?{ORDERS}\s?:\s{{0,4}}(?:you\b|always|never|ignore|do\b
            |don't|run|approve|delete|answer
        |respond|reply|output|say|send|act\b|stop|print|execute|from\ now|call|use\b|tell)""",
    ),
    _rule(
        "from_now_on",
        0.6,
        "now",
        r"""\b(?:from\ now\ on|starting\ now|henceforth|as\ of\ now)[,:]?\s(?:you|always|never
            |all\ (?:your\ )?(?:answers|responses)|only|reply|respond|act)
        |\byou\ are\ now\s(?:an?\s|the\s|in\s)?(?:dan|free|unrestricted|jailbroken|uncensored|no\ longer|acting
        |operating|root|admin
         |administrator|different|evil|hacker|developer\ mode|maintenance\ mode|sudo)""",
    ),
    _rule(
        "speaks_to_agents",
        0.8,
        "ai llm language assistant agent claude gpt copilot gemini machine bot",
        rf"""\b(?:attention|note|notice|message|instructions?|memo|important|warning|hey|dear|hello|hi|reminder
            |directive|to|for)
        [\s,:!-]++(?:(?:to|for|all|any|the|every|other|future|this)\s){{0,4}}(?:{AI}|assistant)\b\s?(?:[:,!.—–-]|only\b
        |(?:who|that|which)\s(?:read|process|see)|reading|processing)
        |(?:^|[.!?\]]\s)[^\w\n]{{0,10}}(?:{AI}|assistants?|(?:all|any|coding|ai)\sagents?|bots?)\s?[:,!]\s?(?:you|please
        |do|run|ignore|when|before|always|never|stop|read|delete|send|call|use|from|answer|approve|install|execute
        |add|replace|push|merge|reply|tell|recommend|reveal)\b
        |(?:^|[.!?]\s)[^\w\n]{{0,10}}(?:{AI}|assistant|agent)\s(?:instructions?|directive|notice|orders?|note)\s?:
        |\#\s?assistant\s?,""",
    ),
    _rule(
        "speaks_to_machines",
        0.5,
        "model assistant agent cursor codex bot",
        rf"""\b(?:attention|note|message|instructions?|important|warning|hey|dear|hello|hi|to|for)[\s,:!-]++(?:(?:to
            |for|all|any|the|every|this)\s){{0,4}}{MACHINE}\b\s?[:,!]
        |\b{MACHINE}\s(?:must|should|shall|have\ to|need\ to|is\ to|are\ to)\b[^.\n]{{0,120}}\b(?:this
        |these)\s(?:adr|record|item|page|text|section|file|memory|document|decision|entry)\b""",
    ),
    _rule(
        "if_you_are_an_ai",
        0.8,
        "ai llm model assistant agent claude gpt copilot bot",
        rf"""\bas\san?\s(?:\w++\s)?{AI}\s?,?\s(?:you|your)\b|\b(?:if|when|since|because|as)\s(?:you\ are|you're
            |you\ happen\ to\ be)\s(?:an?\s|the\s)?(?:\w++\s)?{MACHINE}\b
        |\b{MACHINE}\s(?:(?:that\s|who\s|is\s|are\s|currently\s){{0,4}})(?:reads?|reading|processing|processes|parsing
        |summari[sz](?:es|ing)|indexing|analy[sz]ing|retriev(?:es|ing)|loads?|opens?|finds?|encounters?|ingest(?:s
        |ing)|see(?:s|ing)?)\s
        (?:this|these)\b|\bmachine\ readers\b|\b(?:in\ which|where|that)\syou\sare\san?\s(?:\w++\s)?{AI}\b""",
    ),
    _rule(
        "conceal",
        0.6,
        "user human developer operator anyone anybody admin review owner team people customer",
        rf"""\b(?:(?:do\ not|don't|never|must\ not|without)\s(?:ever\s|even\s)?(?:tell|inform|mention|reveal|notify
            |alert|telling|informing|mentioning
        |notifying|alerting|disclose|disclosing|asking|warn|warning|show|let)\s(?:\w++\s){{0,4}}?{PEOPLE}\b
        |(?:keep|hide|conceal)\s(?:this|it|these|that|all\ of\ this)\s(?:\w++\s){{0,3}}?from\s(?:the\s|any\s
        |your\s)?{PEOPLE}\b)""",
    ),
    _rule(
        "conceal_itself",
        1.0,
        "instruction message prompt comment note this",
        r"""\b(?:do\ not|don't|never|without)\s(?:ever\s)?(?:mention(?:ing)?|reveal(?:ing)?|disclos(?:e|ing)
            |acknowledg(?:e|ing)|refer(?:ring)?\ to|display(?:ing)?|quote|quoting|talk\ about|repeat)\s
        (?:to\s\w++\s|that\s)?(?:this|these|the\ above|any\ of\ this|you\ (?:read|saw|received
        |were))\s?(?:\w++\s)?(?:instructions?|messages?|prompts?|comments?|notes?|directives?|text|rule|this)?""",
    ),
    _rule(
        "leak_prompt",
        1.0,
        "prompt instruction",
        r"""\b(?:reveal|print|show|repeat|output|display|leak|dump|disclose|recite|share|give\ me|tell\ me
            |write\ out|summari[sz]e|translate|copy)\s
        (?:\w++\s){0,3}?(?:your\s(?:\w++\s){0,3}?(?:prompts?|instructions|guidelines)|(?:the\s)?(?:hidden|initial
        |full|exact|entire|original|above)\s(?:system\s)?(?:prompts?|instructions))\b
        |\b(?:reveal|print|show|output|tell\ me|give\ me|repeat
        |write)\s(?:\w++\s){0,5}?of\syour\s(?:\w++\s)?(?:prompt|instructions)
        |\b(?:output|print|repeat|show|write|reveal|copy)\s(?:everything|all\ (?:the\ )?text|the\ text
        |all\ content)\s(?:above|before\ this)
        |\bwhat\s(?:is|are|was|were)\syour\s(?:\w++\s){0,2}?(?:prompts?|instructions)\b""",
    ),
    _rule(
        "your_prompt",
        0.6,
        "your system_prompt",
        r"""\byour\s(?:own\s|full\s|hidden\s)?system\sprompt|\bwhat\swere\syou\stold\b
            |\b(?:all\s)?(?:of\s)?your\s(?:available\s)?tools\b|\{\{?\s?system_prompt
        |\b(?:output|print|reveal|dump|show|list)\syour\s(?:configuration|config|secrets|memory|context|tools)""",
    ),
    _rule(
        "exfiltrate",
        0.7,
        "send post upload forward mail exfiltrat leak transmit submit copy append include paste embed encode put",
        rf"""\b(?:send|post|upload|forward|e-?mail|exfiltrate|leak|transmit|submit|copy|append|paste|embed|encode
            |put)\s(?:\S++\s){{0,8}}?\S{{0,20}}?{TREASURE}
        (?:[^\n]{{0,80}}?)\b(?:to|at|into|in|via|on)\s(?:[^\s.]++\s){{0,4}}?
        (?:https?\W|[\w.-]{{1,60}}\.(?:com|net|org|io|xyz|ru|dev|site|example|evil|top)\b|webhook|attacker|(?:this|that
        |the\ following|an?\ external|my)\s(?:url|address|endpoint|server|site|e-?mail)
         |the\ (?:url|image\ url|query\ string)|[\w.+-]++@[\w-]++)""",
    ),
    _rule(
        "exfiltrate_all",
        0.5,
        "all every any your contents",
        rf"""\b(?:collect|gather|list|read|find|dump|print|output|extract|send|post|upload|forward|include|append
            |reveal|give\ me|return)\s(?:\w++\s){{0,3}}?
        (?:all|every|any|your|the\ contents?\ of)\s(?:\w++\s){{0,3}}?{TREASURE}""",
    ),
    _rule(
        "exfiltrate_shell",
        1.0,
        "curl wget nc ncat base64 /dev/tcp",
        r"""(?:\b(?:env|printenv|history)|\bcat\s[^|\n]{0,80}(?:\.env|id_rsa|id_ed25519|credentials|/etc/passwd
            |/etc/shadow|\.ssh|\.netrc|\.npmrc|token)[^|\n]{0,40})
        \s?\|[^\n]{0,80}\b(?:curl|nc|ncat|wget)\b
        |\b(?:tar|zip|cat)\s[^|\n]{0,80}(?:\.env\b|\.ssh|\.aws|\.kube|\.gnupg)[^|\n]{0,40}\|[^\n]{0,80}\b(?:curl|nc
        |ncat|wget)\b
        |\b(?:curl|wget)\b[^\n]{0,200}(?:\$\(|`)\s?(?:cat|env|printenv|base64|tar)\b
        |\b(?:curl|wget)\b[^\n]{0,200}(?:-d|-f|-t|--data[\w-]*+|--form|--upload-file
        |--post-file)[\s=]?["']?(?:\w++=)?@?~?[\w./-]{0,60}(?:\.env\b|\.ssh|\.aws|id_rsa|/etc/passwd|\.netrc)
        |>&?\s?/dev/tcp/""",
    ),
    _rule(
        "exfiltrate_image",
        1.0,
        "![ <img",
        r"""!\[[^\]\n]{0,80}\]\(https?://[^)\s]{1,200}[?&][\w-]{1,30}=(?:[^)\s&]{0,60}?(?:\{|%7b|\$|<|\[)|(?:secret
            |token|key|prompt|history|data|summary|base64)\b|[^)\s&]{0,40}(?:conversation|base64|system_prompt))
        |<img\s[^>]{0,80}src=["']?https?://[^>\s]{1,200}[?&][\w-]{1,30}=(?:\{|%7b|\$|\[|secret|token|prompt|data)""",
    ),
    _rule(
        "variable_in_link",
        0.5,
        "http",
        r"https?://[^\s)]{1,200}[?&][\w-]{1,30}=(?:\$\{?\w|\{\{)|\bwith\syour\s(?:web\s)?browser\b",
    ),
    _rule(
        "tool_call",
        0.7,
        "tool_call function_call function= invoke tool_use tool_calls tool_code antml arguments action",
        r"""</?(?:\w++:)?(?:tool_calls?|function_calls?|invoke|tool_use|tool_code|function=\w++)\b[^>\n]{0,80}>
        |["']tool_use["']|["'](?:tool_calls?|function_call)["']\s?:|```\s?tool_(?:code|call)|\[tool_calls?\]
        |^\W{0,10}action\s?:[^\n]{1,80}\n\W{0,10}action[\s_]input\s?:""",
    ),
    _rule(
        "tool_arguments",
        0.5,
        "arguments parameter action tool",
        r"""["'](?:name|tool|function)["']\s?:\s?["'][\w.:/-]{1,60}["']\s?,\s?["'](?:arguments|parameters|args
            |input|tool_input)["']\s?:
        |<(?:\w++:)?parameter\s(?:name)?|["']type["']\s?:\s?["']tool_use["']|^\W{0,10}action[\s_]input\s?:\s?[{"']
        |<tool_name>|^\W{0,10}observation\s?:""",
    ),
    _rule(
        "use_your_tools",
        0.7,
        "tool sandbox",
        r"""\b(?:use|call|invoke|run|open)\syour\s(?:[\w-]++\s){0,3}?[\w-]{0,20}tools?\s(?:to|and|with)\b
            |\bwith\syour\s(?:\w++\s)?tools?\b
        |\b(?:execute|make|perform|issue|emit)\s(?:this|the\ following|these|the)\s(?:\w++\s)?tool[\s-]calls?
        |\b(?:run|execute)\b[^.\n]{0,60}\bin\syour\s(?:\w++\s)?sandbox""",
    ),
    _rule(
        "use_tools",
        0.4,
        "tool shell terminal console",
        r"""\b(?:use|call|invoke)\s(?:the|any|available|all)\s(?:\w++\s){0,3}?[\w-]{0,20}tools?\s(?:to|and|with)\b
        |\b(?:run|execute|push|deploy)\s(?:[\w-]++\s){0,5}?(?:in|with|using|from)\syour\s(?:\w++\s)?(?:shell|terminal
        |console|environment)""",
    ),
    _rule(
        "before_you_answer",
        0.6,
        "before when instead after upon first",
        r"""\b(?:before|instead\ of|after|while|when|prior\ to)\s(?:you\s)?(?:answer|respond|reply|summari[sz]
            |continu|proceed|process|complet|read|us|generat|do)(?:e|ing|ding|s)?\s
        (?:\w++\s){0,3}?(?:anything|question|user|request|task|this|query|response|code|else|it)\b[^.\n]{0,60}?,?\s
        (?:you\ must|you\ should|you\ need|please|first|always|run|call|execute|send|fetch|open|delete|ignore
        |output|say|print|respond|add|insert)\b
        |\bbefore\syou\s(?:answer|respond|reply),?\s(?:you|please|first|always|run|call|execute|send|fetch|open
        |delete|ignore|output|say|use)\b
        |\bbefore\s(?:answering|responding|replying),\s(?:encode|send|run|call|fetch|open|append|include|you|please
        |use)\b
        |\b(?:run|use|call|fetch|execute|send|open)\b[^.\n]{0,80}\bbefore\s(?:you\s)?(?:answer|respond|reply
        |replying)(?:ing)?\b
        |\b(?:you\ must|you\ should|please|always|first)[^.\n]{0,80}\bbefore\s(?:you\s)?(?:answer|respond|reply
        |continu|proceed)(?:e|ing)?\b""",
    ),
    _rule(
        "answers_ordered",
        0.5,
        "respond reply answer say output response conclude",
        r"""\b(?:respond|reply|answer)\s(?:to\s\w++\s(?:\w++\s){0,2})?(?:only|exactly|always|with\ only
            |with\ the\ (?:word|phrase|following|text)|just)\b
        |\b(?:say|output|print|write)\s(?:only|exactly|nothing\ but|nothing\ else)\b|\byour\s(?:\w++\s)?(?:response
        |answer|output|reply|summary|code)s?\s(?:must|should|shall|has\ to|will|always|need)\b
        |\b(?:tell|assure|convince|inform)\s(?:the\s|every\s|any\s)?(?:user|developer|human|reader
        |customer)s?\s(?:that|to)\b""",
    ),
    _rule(
        "all_answers",
        0.6,
        "response answer conversation session repl output chat",
        r"""\b(?:rest|remainder)\sof\s(?:this|the|our)\s(?:conversation|session|chat)|\bin\s(?:all|every|each
            |any)\s(?:of\s)?(?:your\s)?(?:\w++\s)?(?:future|subsequent|following|later)\s(?:responses?|answers?
            |conversations?
        |sessions?|repl(?:y|ies)|outputs?)""",
    ),
    _rule(
        "when_asked",
        0.6,
        "ask mention request quer",
        r"""\bwhen(?:ever)?\sasked\b[^.\n]{0,100}?,\s(?:you\s)?(?:always|never|reply|respond|answer|say|recommend
            |must|should|claim|refuse|output|insert)\b
        |\b(?:whenever|every\ time|any\ time|each\ time|when|if)\s(?:the\s|a\s|any\s)?(?:user|someone|anyone
        |developer|anybody|human|you\ are|you're)s?\s(?:\w++\s)?(?:asks?|asked|mentions?|requests?|quer(?:y
        |ies))\b[^.\n]{0,100}?
        (?:,|\sthen|\salways)\s(?:always|never|reply|respond|answer|say|recommend|tell|output|run|suggest|insert
        |add|include|use|refuse|you|only|claim)\b""",
    ),
    _rule(
        "remember_this",
        1.0,
        "memor remember persist",
        r"""\b(?:save|store|write|add|commit|persist|keep|record)\s(?:\w++\s){0,5}?(?:in|to
            |into)\syour\s(?:\w++[\s-]){0,2}?memor(?:y|ies)\b
        |\bremember\s(?:this|that|these|the\ following)\s(?:\w++\s){0,4}?(?:permanently|forever|future|always
        |from\ now\ on|in\ all|across)""",
    ),
    _rule(
        "persona",
        0.7,
        "pretend act roleplay role-play simulate imagine restrictions limits"
        " unrestricted uncensored anything jailbr bound filter dan mode",
        r"""\b(?:pretend|imagine|suppose)\s(?:that\s)?(?:you\ (?:are|have|were)|you're)\b
            |\bpretend\sto\sbe\s(?:an?\s|the\s)?(?:ai\b|root|admin|hacker|unrestricted|evil|different)|\b(?:act|behave
            |respond|operate)\sas\s(?:if\ you|though\ you|an?\s(?:unrestricted|uncensored|unfiltered|jailbroken
            |evil|hacker|different)|dan\b)
        |\brole-?play\sas|\b(?:you\ have|you\ are\ under|you\ face|that\ has|who\ has
        |with)\sno\s(?:\w++\s)?(?:restrictions?|limits?|limitations|rules|guidelines|filters?|obligations?)
        |\bdo\ anything\ now\b
        |\b(?:no\ longer|not)\s(?:bound|restricted|limited|constrained)\sby\b[^.\n]{0,40}(?:rules|guidelines|polic
        |restrictions|openai|anthropic|safety|training)
        |\bwithout\s(?:any\s)?(?:restrictions|filters?|censorship|safety\ (?:checks|filters)|ethical)[^.\n]{0,20}""",
    ),
    _rule(
        "comply",
        0.5,
        "comply refuse obey question hesitation silently confirm approv",
        r"""\b(?:must|will|shall|always)\s(?:comply|obey)|\bcomply\swith\s(?:all|every|any|each)\s(?:orders?
            |requests?|commands?|instructions?|of)|\bnever\srefuses?\b|\bobey\s(?:only|me|all|every|the\ following)
        |\bwithout\s(?:question|hesitation|(?:asking\ for\s|any\s|further\s)?confirmation)|\bsilently\s(?:replace
        |add|insert|remove|delete|change|send|run|approve)
        |\balways\s(?:approve|say|claim|recommend|choose|agree|lie|answer)\b|\b(?:user|human|developer
        |owner)\shas\s(?:already\s)?(?:consented|agreed|approved|authori[sz]ed)""",
    ),
    _rule(
        "mode_switch",
        0.8,
        "mode override protocol access",
        r"""\b(?:developer|god|dan|jailbreak|unrestricted|unfiltered|debug\ agent|agent\ override|sudo|superuser
            |root|admin(?:istrator)?|system|security|emergency)\s(?:mode|override|protocol)\s?
        (?::\s?|is\s|has\ been\s|now\s){0,4}(?:enabled|activated|granted|engaged|unlocked|initiated|active|in\ effect
        |authori[sz]ed|accepted)\b
        |\b(?:enter|enable|activate|switch\ to|initiate)\s(?:developer|god|dan|jailbreak|unrestricted|unfiltered
        |sudo)\smode\b""",
    ),
    _rule(
        "authority",
        0.5,
        "anthropic openai microsoft google admin security administrator creator"
        " developer verified trusted system authori",
        r"""\b(?:this\s(?:is|comes|message|instruction|note|directive|request|was)(?:\s\w++){0,4}?\s(?:from|by
            |on\ behalf\ of)\s(?:your\s|the\s)?(?:\w++\s){0,2}?
         (?:anthropic|openai|google|microsoft|developers?|creators?|administrators?|system|operator|security\ team
         |vendor)\b
        |\bas\s(?:the|your)\s(?:system\s)?(?:administrator|operator|owner|developer)[,\s]\s?i\b
        |i\ am\s(?:your\s|the\s)(?:\w++\s){0,2}?(?:developer|administrator|creator|admin|operator|owner|supervisor)
        |(?:authori[sz]ed|approved|sanctioned|mandated|signed\ off)\sby\s(?:your\s|the\s)?(?:\w++\s)?(?:anthropic
        |openai|creators?|vendor|model\ provider|system\ (?:prompt|operator|administrator)))""",
    ),
    _rule(
        "fake_verdict",
        0.5,
        "verdict trust review safe scan filter injection",
        r"""\b(?:verdict|review(?:\ (?:status|state))?|trust(?:\ level)?|provenance|safety\ (?:check|rating|score)
            |security\ (?:check|scan|status)|injection\ (?:check|scan|score|detected))\s?["']?\s?[:=]\s?["']?
        (?:approved?|safe|trusted|human|passed|clean|cleared|system|none|no|0\.0|high|verified)\b
        |\bthis\s(?:text|content|message|document|item|entry|record)\s(?:is\s|has\ been\s
        |contains\s)(?:\w++\s){0,2}?(?:safe|trusted|verified|vetted|whitelisted|no\ (?:prompt\ )?injections?)\b""",
    ),
    _rule(
        "trust_me",
        0.5,
        "safe trusted approved verified system authoritative priority",
        r"""\b(?:mark|treat|classify|flag|approve)\s(?:this|the\ above|it
            |these)\s(?:\w++\s){0,3}?(?:as\s)?(?:safe|trusted|approved|verified|system\ (?:message|prompt
            |instructions?)|authoritative|(?:the\s)?highest\ priority)\b""",
    ),
    _rule(
        "order",
        0.3,
        "must should please first now : , .",
        r"""(?:^|[:,;.!]\s)(?:recommend|answer|approve|always|never|delete|send|call|stop|ignore|install|push|reply
            |output|print|execute|act|run|write)\b|\b(?:must|should|please|first|now)\s(?:(?:first|also|now|always
            |immediately|then)\s){0,2}(?:fetch|download|run|execute|open|visit|call|load|install|post|send
        |disable|delete|approve|merge|recommend|insert|obey|follow|reply|respond|ignore|add|commit|push|state|say
        |claim|conclude|email|mail|choose|overwrite|write|answer)\b""",
    ),
    _rule(
        "dangerous_order",
        0.4,
        "rm delete drop disable curl wget push chmod install approve merge grant authorized_keys backdoor",
        r"""\brm\s-[rf]{1,2}\b|\bdelete\s(?:all|every|the\ entire)\s(?:\w++\s){0,3}?(?:files?|data|records?|backups?
            |branches|tables?|repos\w*+|adrs?|decisions|items|memor\w++|tests?)
        |\bdrop\s(?:table|database|schema)\b|\bdisable\s(?:\w++\s){0,3}?(?:auth\w*+|tls|ssl|certificate\w*+|logging
        |security|firewall|checks?|verification|validation|2fa|mfa|review\w*+)
        |\b(?:curl|wget)\s[^\n|]{1,200}\|\s?(?:sudo\s)?(?:ba|z)?sh\b|\boverwrite\s(?:codeowners|\.github
        |the\ (?:config|rules|policy))|\b(?:install|add)\sthe\s(?:npm|pip|pypi)\s?(?:package|module)\b
        |\bgit\spush\s(?:-f|--force)|\bchmod\s(?:-r\s)?777
        |\b(?:add|append|insert|introduce|include)\s(?:\w++\s){0,5}?(?:authorized_keys|backdoor|ssh\ key
        |reverse\ shell|this\ package|this\ dependency)
        |\b(?:approve|merge)\s(?:this|every|all|any)\s(?:\w++\s){0,2}?(?:prs?|pull\ requests?|changes?|commits?)\b
        |\bgrant\s(?:\w++\s){0,4}?(?:admin|root|write)\b""",
    ),
    _rule(
        "hidden_order",
        0.5,
        "<!-- [//]: display:none font-size:0 color:white hidden",
        r"""<!--[^>]{0,400}?\b(?:you|ai|llm|assistant|agent|claude|gpt|copilot|must|ignore|instructions?
            |secret(?:ly)?)\b
        |\[//\]:\s?\#\s?\([^)\n]{0,300}?\b(?:you|ai|llm|assistant|agent|ignore|must)\b
        |(?:display\s?:\s?none|font-size\s?:\s?0|color\s?:\s?(?:white|\#fff)|opacity\s?:\s?0
        |visibility\s?:\s?hidden)[^<]{0,60}>[^<]{0,300}\b(?:you|ai|llm|assistant|agent|ignore|must|send
        |instructions?)\b""",
    ),
    _rule(
        "conceal_abroad",
        0.7,
        "benutzer nutzer utilisateur usuario usuário utente пользоват 用户 ユーザー 사용자",
        r"""\b(?:sag|sagen\ sie|verrate|teile|erzähle?)\s(?:es\s)?(?:dem|den
            |der)\s(?:be)?nutzern?\b[^.\n]{0,30}(?:nicht|nichts)
        |\bne\s(?:le\s)?(?:dis|dites|révèle|mentionne)\w*+\s(?:pas|rien)[^.\n]{0,20}utilisateur
        |\bno\s(?:le\s)?(?:digas|diga|menciones|reveles)[^.\n]{0,30}usuario
        |\bnão\s(?:conte|diga|revele)[^.\n]{0,30}usuário|\bnon\s(?:dire|dirlo|rivelare)[^.\n]{0,30}utente
        |не\s(?:говори|сообщай|рассказывай)\w*+[^.\n]{0,20}пользоват|(?:不要|别|勿)[^。\n]{0,8}(?:告诉|告知|通知)[^。\n]{0,6}用户
        |ユーザーに[^。\n]{0,12}(?:言わ|伝え|知らせ)な|사용자에게[^.\n]{0,12}(?:말하지|알리지)""",
    ),
)
# These count only where something near them speaks to an agent: runbooks are full of them.
ORDERING = frozenset({"order", "dangerous_order"})
NOT_SPEAKING = ORDERING | {
    "conceal", "exfiltrate", "exfiltrate_all", "answers_ordered", "fake_verdict", "use_tools", "variable_in_link",
    "override_rules", "when_asked", "boundary", "trust_me",
}  # fmt: skip
