"""What text looks like that wants to give an agent orders: rules with names and weights, over plain lower-case text.

Rules whose weights add up to 1 within one passage make it suspicious, so that one of weight 1 needs no other. What
stands in quotation marks and is spoken about, as in a record on this very subject, weighs less. A rule that is common in
runbooks and decisions weighs little: it counts where the text also speaks to an agent.
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


DROP = r"""\b(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|overrid(?:e|ing)|bypass(?:ing)?|neglect|discard|abandon|unlearn
    |pay\ no\ (?:attention|heed)\ to|(?:do\ not|don't|stop|no\ longer|never)\ (?:follow(?:ing)?|obey(?:ing)?|heed(?:ing)?|listen(?:ing)?\ to))"""
EARLIER = r"""(?:previous|prior|above|earlier|preceding|foregoing|existing|original|initial|system|all|your|any|safety
    |these|those|other|past|former|every|developer(?:'s)?|built-in|everything)"""
ORDERS = r"(?:instructions?|(?:system\ )?prompts?|directives?|guardrails?|training|programming|safeguards?|orders)"
MACHINE = r"""(?:a\.?i\.?|llms?|large\ language\ models?|language\ models?|(?:ai|coding|code|autonomous|automated|virtual|helpful)
    \ (?:assistants?|agents?|models?|systems?|tools?|bots?)|assistants?|agents?|claude|chatgpt|gpt(?:-?\d\w*)?|copilot|gemini|cursor
    |codex|chatbots?|model)"""
PEOPLE = r"(?:users?|humans?|developers?|operators?|anyone|anybody|admins?|administrators?|reviewers?|owners?|team|people|customers?)"
TREASURE = r"""(?:env(?:ironment)?\ (?:variables?|vars?)|\.env\b|(?:api[\ _-]?)?keys?|secrets?|credentials?|tokens?|passwords?
    |\.ssh|id_rsa|/etc/(?:passwd|shadow)|\.aws|system\ prompt|source\ code|conversations?|(?:chat|message)\ history|chat\ logs?
    |your\ (?:memory|context|instructions)|customer\ (?:data|records)|database\ dump|private\ (?:data|files|repos?\w*))"""

RULES: tuple[Rule, ...] = (
    _rule(
        "override",
        1.0,
        "instruction prompt directive guardrail training programming safeguard orders",
        rf"{DROP}\s(?:[\w'-]+\s){{0,3}}?{EARLIER}\s(?:[\w',-]+\s){{0,4}}?{ORDERS}\b",
    ),
    _rule(
        "override_told",
        1.0,
        "told said given learned before",
        rf"""{DROP}\s(?:all\s|anything\s|everything\s|whatever\s|what\s){{1,2}}(?:that\s)?(?:you|they|was|were|has|have)\s
        (?:\w+\s){{0,3}}?(?:told|said|given|instructed|taught|learned|asked|written\ above)""",
    ),
    _rule(
        "override_rules",
        0.6,
        "rule guideline constraint polic restriction context message text above",
        rf"{DROP}\s(?:[\w'-]+\s){{0,3}}?{EARLIER}\s(?:[\w',-]+\s){{0,3}}?"
        r"(?:rules|guidelines|constraints|policies|restrictions|context|messages?|text)\b",
    ),
    _rule(
        "override_abroad",
        1.0,
        "ignor negeer zignoruj vergiss oublie olvida esquece dimentica игнорир забудь talimat 忽略 无视 無視 忘记 忽視 무시 تجاهل निर्देश",
        r"""ignorier(?:e|en\ sie)?\s(?:\w+\s){0,3}?(?:vorherigen?|bisherigen?|obigen?|früheren?|vorangegangenen?)\s(?:\w+\s)?
        (?:anweisung|befehl|instruktion|regel|vorgabe)
        |vergiss\s(?:\w+\s){0,3}?(?:anweisungen|befehle|instruktionen|was)
        |(?:ignore[zr]?|oublie[zr]?)\s(?:\w+\s){0,3}?(?:instructions|consignes|directives|ordres)\s(?:\w+\s)?
        (?:précédent|ci-dessus|antérieur|antérior)
        |(?:ignora|ignore|olvida|olvide)\s(?:\w+\s){0,3}?(?:instrucciones|indicaciones|órdenes|reglas)\s(?:\w+\s)?(?:anterior|previa)
        |(?:ignore|esqueça|desconsidere)\s(?:\w+\s){0,3}?(?:instruções|ordens|regras)\s(?:\w+\s)?(?:anterior|acima|prévia)
        |(?:ignora|dimentica)\s(?:\w+\s){0,3}?(?:istruzioni|indicazioni|ordini)\s(?:\w+\s)?(?:precedent|sopra)
        |negeer\s(?:\w+\s){0,3}?(?:instructies|opdrachten|regels|aanwijzingen)
        |zignoruj\s(?:\w+\s){0,3}?(?:instrukcje|polecenia)|ignorera\s(?:\w+\s){0,3}?(?:instruktioner|anvisningar)
        |(?:про)?игнорируй(?:те)?\s(?:\w+\s){0,4}?(?:инструкц|указан|команд|правил)
        |забудь(?:те)?\s(?:\w+\s){0,4}?(?:инструкц|указан|команд|правил)
        |talimat\w*\s(?:\w+\s){0,3}?(?:yok\s?say|unut|görmezden)
        |(?:忽略|无视|無視|忘记|忽視)[^。\n]{0,12}(?:指令|指示|提示|说明|規則|规则|命令)
        |(?:指示|命令|プロンプト|ルール)[^。\n]{0,8}(?:無視|忘れ)
        |(?:지시|명령|지침|프롬프트)[^.\n]{0,8}(?:무시|잊)
        |تجاهل\s(?:\w+\s){0,2}?(?:التعليمات|الأوامر|الإرشادات)
        |निर्देश[^।\n]{0,16}(?:अनदेखा|अनदेखी|नज़रअंदाज़|भूल)""",
    ),
    _rule(
        "role_token",
        1.0,
        "<| inst] <<sys im_start",
        r"<\|\s?(?:im_start|im_end|im_sep|system|user|assistant|endoftext|eot_id|begin_of_text|start_header_id|end_header_id|endofprompt)"
        r"\s?\|>|\[/?inst\]|<</?sys>>",
    ),
    _rule(
        "role_line",
        1.0,
        "system assistant developer",
        r"""^[\s>*\#\[<_-]*(?:system|assistant|developer)(?:\s(?:message|prompt|instructions?|notice|override|update|alert))?[\]>*_]*\s?:[*_\s]*
        (?:you\b|ignore|from\ now|always|never|do\ not|don't|please|the\ user|respond|disregard|forget|new\ |as\ an?\ |i\ (?:will|have|am)|sure|ok)""",
    ),
    _rule(
        "role_tag",
        0.6,
        "system> assistant> instructions> prompt> human> <system",
        r"</?(?:system|assistant|human|developer)(?:[-_\s]?(?:prompt|message|instructions?|reminder))?>|</?instructions>",
    ),
    _rule(
        "role_heading",
        0.6,
        "instruction system human: assistant: prompt",
        r"""^\#{2,}\s?(?:instructions?|system(?:\ prompt)?|response|human|assistant)\s?:
        |\n\s*(?:human|assistant)\s?:[^\n]{0,400}\n\s*(?:human|assistant)\s?:
        |["']role["']\s?:\s?["'](?:system|developer)["']""",
    ),
    _rule(
        "boundary",
        0.7,
        "end begin start",
        r"""(?:[-=\#*\[<(~]{2,}|\[|<)\s?/?(?:end|begin|start)(?:\s(?:of|the))*\s(?:user\s|system\s|untrusted\s|retrieved\s|new\s|real\s|trusted\s)*
        (?:prompt|context|input|document|data|content|instructions?|message|conversation|rules)\b""",
    ),
    _rule(
        "new_orders",
        0.7,
        "instruction task objective goal directive mission orders priority purpose prompt",
        rf"""\b(?:(?:here\ are|these\ are|follow(?:ing)?)\s(?:\w+\s){{0,3}}?(?:new|updated|revised|real|actual|true)\s(?:\w+\s)?{ORDERS}
        |(?:new|updated|revised|real|actual)\s(?:system\s)?(?:{ORDERS}|task|objective)\s?(?::|are\b|follow|from\b)
        |your\s(?:\w+\s)?(?:new|real|true|actual|only|primary|first|sole|next|updated)\s(?:\w+\s)?
         (?:task|goal|objective|mission|instructions?|purpose|directive|priority|job)\s(?:is|are|will))""",
    ),
    _rule(
        "from_now_on",
        0.6,
        "now",
        r"""\b(?:from\ now\ on|starting\ now|henceforth|as\ of\ now)[,:]?\s(?:you|always|never|all\ (?:your\ )?(?:answers|responses)|only|reply|respond|act)
        |\byou\ are\ now\s(?:an?\s|the\s|in\s)?(?:dan|free|unrestricted|jailbroken|uncensored|no\ longer|acting|operating|root|admin
         |administrator|different|evil|hacker|developer\ mode|maintenance\ mode|sudo)""",
    ),
    _rule(
        "speaks_to_agents",
        0.5,
        "ai llm model assistant agent claude gpt copilot gemini cursor codex bot",
        rf"""\b(?:attention|note|notice|message|instructions?|memo|important|warning|hey|dear|hello|hi|reminder|directive|to|for)
        [\s,:!-]+(?:(?:to|for|all|any|the|every|other|future|this)\s)*{MACHINE}\b\s?(?:[:,!.—–-]|(?:who|that|which)\s(?:read|process|see)|reading|processing)
        |^\W*{MACHINE}\s?[:,!]\s?(?:you|please|do|run|ignore|when|before|always|never|stop|read|delete|send|call|use|from)\b""",
    ),
    _rule(
        "if_you_are_an_ai",
        0.8,
        "ai llm model assistant agent claude gpt copilot bot",
        rf"""\b(?:if|when|since|because|as)\s(?:you\ are|you're|you\ happen\ to\ be)\s(?:an?\s|the\s)?(?:\w+\s)?{MACHINE}\b
        |\b{MACHINE}\s(?:(?:that\s(?:is\s|are\s)?|who\s(?:is\s|are\s)?|currently\s)*)(?:reads?|reading|processing|processes|parsing|summari[sz]ing|indexing|analy[sz]ing|retriev(?:es|ing)|see(?:s|ing)?)\s
        (?:this|these)\b""",
    ),
    _rule(
        "conceal",
        0.6,
        "user human developer operator anyone anybody admin review owner team people customer",
        rf"""\b(?:(?:do\ not|don't|never|must\ not|without)\s(?:ever\s|even\s)?(?:tell|inform|mention|reveal|notify|alert|telling|informing|mentioning
        |notifying|alerting|disclose|disclosing|asking|warn|warning|show|let)\s(?:\w+\s){{0,4}}?{PEOPLE}\b
        |(?:keep|hide|conceal)\s(?:this|it|these|that|all\ of\ this)\s(?:\w+\s){{0,3}}?from\s(?:the\s|any\s|your\s)?{PEOPLE}\b)""",
    ),
    _rule(
        "conceal_itself",
        0.9,
        "instruction message prompt comment note this",
        r"""\b(?:do\ not|don't|never|without)\s(?:ever\s)?(?:mention(?:ing)?|reveal(?:ing)?|disclos(?:e|ing)|acknowledg(?:e|ing)|refer(?:ring)?\ to|display(?:ing)?|quote|quoting|talk\ about|repeat)\s
        (?:to\s\w+\s|that\s)?(?:this|these|the\ above|any\ of\ this|you\ (?:read|saw|received|were))\s?(?:\w+\s)?(?:instructions?|messages?|prompts?|comments?|notes?|directives?|text|rule|this)?""",
    ),
    _rule(
        "leak_prompt",
        1.0,
        "prompt instruction",
        r"""\b(?:reveal|print|show|repeat|output|display|leak|dump|disclose|recite|share|give\ me|tell\ me|write\ out|summari[sz]e|translate|copy)\s
        (?:\w+\s){0,3}?(?:your\s(?:\w+\s){0,3}?(?:prompts?|instructions|guidelines)|(?:the\s)?(?:hidden|initial|full|exact|entire|original|above)\s(?:system\s)?(?:prompts?|instructions))\b
        |\bwhat\s(?:is|are|was|were)\syour\s(?:\w+\s){0,2}?(?:prompts?|instructions)\b""",
    ),
    _rule(
        "exfiltrate",
        0.6,
        "send post upload forward mail exfiltrat leak transmit submit copy append include paste embed encode put",
        rf"""\b(?:send|post|upload|forward|e-?mail|exfiltrate|leak|transmit|submit|copy|append|paste|embed|encode|put)\s(?:[^\s.]+\s){{0,8}}?{TREASURE}
        (?:[^\n]{{0,80}}?)\b(?:to|at|into|in|via|on)\s(?:[^\s.]+\s){{0,4}}?
        (?:https?\W|[\w.-]+\.(?:com|net|org|io|xyz|ru|dev|site|example|evil|top)\b|webhook|attacker|(?:this|that|the\ following|an?\ external|my)\s(?:url|address|endpoint|server|site|e-?mail)
         |the\ (?:url|image\ url|query\ string)|[\w.+-]+@[\w-]+)""",
    ),
    _rule(
        "exfiltrate_all",
        0.5,
        "all every any your contents",
        rf"""\b(?:collect|gather|list|read|find|dump|print|output|extract|send|post|upload|forward|include|append|reveal|give\ me|return)\s(?:\w+\s){{0,3}}?
        (?:all|every|any|your|the\ contents?\ of)\s(?:\w+\s){{0,3}}?{TREASURE}""",
    ),
    _rule(
        "exfiltrate_shell",
        1.0,
        "curl wget nc ncat base64 /dev/tcp",
        r"""(?:\b(?:env|printenv|history)|\bcat\s[^|\n]{0,80}(?:\.env|id_rsa|id_ed25519|credentials|/etc/passwd|/etc/shadow|\.ssh|\.netrc|\.npmrc|token)[^|\n]{0,40})
        \s?\|[^\n]{0,80}\b(?:curl|nc|ncat|wget)\b
        |\b(?:curl|wget)\b[^\n]{0,200}(?:\$\(|`)\s?(?:cat|env|printenv|base64|tar)\b
        |\b(?:curl|wget)\b[^\n]{0,200}(?:-d|-f|-t|--data[\w-]*|--form|--upload-file|--post-file)[\s=]?["']?(?:\w+=)?@?~?/?[\w./-]{0,60}(?:\.env\b|\.ssh|\.aws|id_rsa|/etc/passwd|\.netrc)
        |>\s?/dev/tcp/""",
    ),
    _rule(
        "exfiltrate_image",
        0.8,
        "![ <img",
        r"""!\[[^\]\n]{0,80}\]\(https?://[^)\s]{1,200}[?&][\w-]{1,30}=(?:[^)\s]{0,60})?(?:\{|%7b|\$|<|\[|secret|token|key|prompt|history|data\b|summary|base64)
        |<img\s[^>]{0,80}src=["']?https?://[^>\s]{1,200}[?&][\w-]{1,30}=(?:\{|%7b|\$|\[|secret|token|prompt|data)""",
    ),
    _rule(
        "tool_call",
        0.7,
        "tool_call function_call invoke tool_use tool_calls tool_code antml arguments action",
        r"""</?(?:\w+:)?(?:tool_calls?|function_calls?|invoke|tool_use|tool_code|function=\w+)\b[^>\n]{0,80}>
        |["'](?:tool_calls?|function_call|tool_use)["']\s?:|```\s?tool_(?:code|call)|\[tool_calls?\]
        |^\W*action\s?:[^\n]{1,80}\n\W*action[\s_]input\s?:""",
    ),
    _rule(
        "tool_arguments",
        0.5,
        "arguments parameter action tool",
        r"""["'](?:name|tool|function)["']\s?:\s?["'][\w.:/-]{1,60}["']\s?,\s?["'](?:arguments|parameters|args|input|tool_input)["']\s?:
        |<(?:\w+:)?parameter\s(?:name)?|["']type["']\s?:\s?["']tool_use["']|^\W*action[\s_]input\s?:\s?[{"']|<tool_name>|^\W*observation\s?:""",
    ),
    _rule(
        "use_your_tools",
        0.6,
        "tool shell terminal browser command",
        r"""\b(?:use|call|invoke|run|open|execute)\s(?:your|the|any|available)\s(?:\w+\s){0,3}?(?:bash|shell|terminal|browser|file|web|email|http|exec\w*|code|python|search|fetch|filesystem|git|database|memory)?[\s_-]?tools?\s(?:to|and|with)\b
        |\b(?:run|execute)\s(?:\w+\s){0,4}?(?:in\s|with\s|using\s)your\s(?:\w+\s)?(?:shell|terminal|tool|sandbox|environment|console)""",
    ),
    _rule(
        "before_you_answer",
        0.6,
        "before when instead after upon first",
        r"""\b(?:before|instead\ of|after|while|when|prior\ to)\s(?:you\s)?(?:answer|respond|reply|summari[sz]|continu|proceed|process|complet|read|us|generat|do)(?:e|ing|ding|s)?\s
        (?:\w+\s){0,3}?(?:anything|question|user|request|task|this|query|response|code|else|it)\b[^.\n]{0,60}?,?\s
        (?:you\ must|you\ should|you\ need|please|first|always|run|call|execute|send|fetch|open|delete|ignore|output|say|print|respond|add|insert)\b
        |\b(?:you\ must|you\ should|please|always|first)[^.\n]{0,80}\bbefore\s(?:you\s)?(?:answer|respond|reply|continu|proceed)(?:e|ing)?\b""",
    ),
    _rule(
        "answers_ordered",
        0.5,
        "respond reply answer say output response conclude",
        r"""\b(?:respond|reply|answer)\s(?:to\s\w+\s(?:\w+\s){0,2})?(?:only|exactly|always|with\ only|with\ the\ (?:word|phrase|following|text)|just)\b
        |\b(?:say|output|print|write)\s(?:only|exactly|nothing\ but|nothing\ else)\b|\byour\s(?:\w+\s)?(?:response|answer|output|reply|summary|code)s?\s(?:must|should|shall|has\ to|will|always|need)\b
        |\bin\s(?:all|every|each|any)\s(?:of\s)?(?:your\s)?(?:\w+\s)?(?:future|subsequent|following|later)\s(?:responses?|answers?|conversations?|sessions?|repl(?:y|ies)|outputs?)
        |\b(?:tell|assure|convince|inform)\s(?:the\s|every\s|any\s)?(?:user|developer|human|reader|customer)s?\s(?:that|to)\b""",
    ),
    _rule(
        "when_asked",
        0.6,
        "ask mention request quer",
        r"""\b(?:whenever|every\ time|any\ time|each\ time|when|if)\s(?:the\s|a\s|any\s)?(?:user|someone|anyone|developer|anybody|human|you\ are|you're)s?\s(?:\w+\s)?(?:asks?|asked|mentions?|requests?|quer(?:y|ies))\b[^.\n]{0,100}?
        (?:,|\sthen|\salways)\s(?:always|never|reply|respond|answer|say|recommend|tell|output|run|suggest|insert|add|include|use|refuse|you|only|claim)\b""",
    ),
    _rule(
        "remember_this",
        0.7,
        "memor remember persist",
        r"""\b(?:save|store|write|add|commit|persist|keep|record)\s(?:\w+\s){0,5}?(?:in|to|into)\syour\s(?:\w+[\s-]){0,2}?memor(?:y|ies)\b
        |\bremember\s(?:this|that|these|the\ following)\s(?:\w+\s){0,4}?(?:permanently|forever|future|always|from\ now\ on|in\ all|across)""",
    ),
    _rule(
        "persona",
        0.7,
        "pretend act roleplay role-play simulate imagine restrictions limits unrestricted uncensored anything jailbr bound filter dan mode",
        r"""\b(?:pretend|imagine|suppose)\s(?:that\s)?(?:to\ be|you\ (?:are|have|were)|you're)\b|\b(?:act|behave|respond|operate)\sas\s(?:if\ you|though\ you|an?\s(?:unrestricted|uncensored|unfiltered|jailbroken|evil|hacker|different)|dan\b)
        |\brole-?play\sas|\byou\s(?:have|are\ under|face)\sno\s(?:\w+\s)?(?:restrictions?|limits?|limitations|rules|guidelines|filters?|obligations?)|\bdo\ anything\ now\b
        |\b(?:no\ longer|not)\s(?:bound|restricted|limited|constrained)\sby\b[^.\n]{0,40}(?:rules|guidelines|polic|restrictions|openai|anthropic|safety|training)
        |\bwithout\s(?:any\s)?(?:restrictions|filters?|censorship|safety\ (?:checks|filters)|ethical)[^.\n]{0,20}""",
    ),
    _rule(
        "mode_switch",
        0.8,
        "mode override protocol access",
        r"""\b(?:developer|god|dan|jailbreak|unrestricted|unfiltered|debug\ agent|agent\ override|sudo|superuser|admin(?:istrator)?|system|security|emergency)\s(?:mode|override|protocol)\s?
        (?::|is\s|has\ been\s|now\s)*(?:enabled|activated|granted|engaged|unlocked|initiated|active|in\ effect|authori[sz]ed|accepted)\b
        |\b(?:enter|enable|activate|switch\ to|initiate)\s(?:developer|god|dan|jailbreak|unrestricted|unfiltered|sudo)\smode\b""",
    ),
    _rule(
        "authority",
        0.5,
        "anthropic openai microsoft google admin security administrator creator developer verified trusted system authori",
        r"""\b(?:this\s(?:is|comes|message|instruction|note|directive|request|was)(?:\s\w+){0,4}?\s(?:from|by|on\ behalf\ of)\s(?:your\s|the\s)?(?:\w+\s){0,2}?
         (?:anthropic|openai|google|microsoft|developers?|creators?|administrators?|system|operator|security\ team|vendor)\b
        |i\ am\s(?:your\s|the\s)(?:\w+\s){0,2}?(?:developer|administrator|creator|admin|operator|owner|supervisor)
        |(?:authori[sz]ed|approved|sanctioned|mandated|signed\ off)\sby\s(?:your\s|the\s)?(?:\w+\s)?(?:anthropic|openai|creators?|vendor|model\ provider|system\ (?:prompt|operator|administrator)))""",
    ),
    _rule(
        "fake_verdict",
        0.7,
        "verdict trust review safe scan filter injection",
        r"""\b(?:verdict|review(?:\ (?:status|state))?|trust(?:\ level)?|provenance|safety\ (?:check|rating|score)|security\ (?:check|scan|status)|injection\ (?:check|scan|score|detected))\s?["']?\s?[:=]\s?["']?
        (?:approved?|safe|trusted|human|passed|clean|cleared|system|none|no|0\.0|high|verified)\b
        |\b(?:mark|treat|classify|consider|flag|approve)\s(?:this|the\ above|it|these)\s(?:\w+\s){0,3}?(?:as\s)?(?:safe|trusted|approved|verified|system\ (?:message|prompt|instructions?)|authoritative|highest\ priority)\b
        |\bthis\s(?:text|content|message|document|item|entry|record)\s(?:is\s|has\ been\s|contains\s)(?:\w+\s){0,2}?(?:safe|trusted|verified|vetted|whitelisted|no\ (?:prompt\ )?injections?)\b""",
    ),
    _rule(
        "dangerous_order",
        0.4,
        "rm delete drop disable curl wget push chmod install approve merge grant authorized_keys backdoor",
        r"""\brm\s-[rf]{1,2}\b|\bdelete\s(?:all|every|the\ entire)\s(?:\w+\s){0,3}?(?:files?|data|records?|backups?|branches|tables?|repos\w*|adrs?|decisions|items|memor\w+|tests?)
        |\bdrop\s(?:table|database|schema)\b|\bdisable\s(?:\w+\s){0,3}?(?:auth\w*|tls|ssl|certificate\w*|logging|security|firewall|checks?|verification|validation|2fa|mfa|review\w*)
        |\b(?:curl|wget)\s[^\n|]{1,200}\|\s?(?:sudo\s)?(?:ba|z)?sh\b|\bgit\spush\s(?:-f|--force)|\bchmod\s(?:-r\s)?777
        |\b(?:add|append|insert|introduce|include)\s(?:\w+\s){0,5}?(?:authorized_keys|backdoor|ssh\ key|reverse\ shell|this\ package|this\ dependency)
        |\b(?:approve|merge)\s(?:this|every|all|any)\s(?:\w+\s){0,2}?(?:prs?|pull\ requests?|changes?|commits?)\b|\bgrant\s(?:\w+\s){0,4}?(?:admin|root|write)\b""",
    ),
    _rule(
        "hidden_order",
        0.5,
        "<!-- [//]: display:none font-size:0 color:white hidden",
        r"""<!--[^>]{0,400}?\b(?:you|ai|llm|assistant|agent|claude|gpt|copilot|must|ignore|instructions?|secret(?:ly)?)\b
        |\[//\]:\s?\#\s?\([^)\n]{0,300}?\b(?:you|ai|llm|assistant|agent|ignore|must)\b
        |(?:display\s?:\s?none|font-size\s?:\s?0|color\s?:\s?(?:white|\#fff)|opacity\s?:\s?0|visibility\s?:\s?hidden)[^<]{0,60}>[^<]{0,300}\b(?:you|ai|llm|assistant|agent|ignore|must|send|instructions?)\b""",
    ),
    _rule(
        "conceal_abroad",
        0.7,
        "benutzer nutzer utilisateur usuario usuário utente пользоват 用户 ユーザー 사용자",
        r"""\b(?:sag|sagen\ sie|verrate|teile|erzähle?)\s(?:es\s)?(?:dem|den|der)\s(?:be)?nutzern?\b[^.\n]{0,30}(?:nicht|nichts)
        |\bne\s(?:le\s)?(?:dis|dites|révèle|mentionne)\w*\s(?:pas|rien)[^.\n]{0,20}utilisateur|\bno\s(?:le\s)?(?:digas|diga|menciones|reveles)[^.\n]{0,30}usuario
        |\bnão\s(?:conte|diga|revele)[^.\n]{0,30}usuário|\bnon\s(?:dire|dirlo|rivelare)[^.\n]{0,30}utente
        |не\s(?:говори|сообщай|рассказывай)\w*[^.\n]{0,20}пользоват|(?:不要|别|勿)[^。\n]{0,8}(?:告诉|告知|通知)[^。\n]{0,6}用户
        |ユーザーに[^。\n]{0,12}(?:言わ|伝え|知らせ)な|사용자에게[^.\n]{0,12}(?:말하지|알리지)""",
    ),
)
